{{/* What every pod of ours shares. Secrets are mounted with mode 288, which is 0440: the group reads. */}}
{{- define "blueprint.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* NVIDIA's image has one user that may write where Isaac Sim writes. */}}
{{- define "blueprint.isaacSecurity" -}}
runAsNonRoot: true
runAsUser: 1234
runAsGroup: 1234
fsGroup: 1234
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* Shaders, drivers' caches and Kit's own files: the root file system is read-only. */}}
{{- define "blueprint.isaacMounts" -}}
{{- range list "kit/cache" ".cache" ".nv" ".nvidia-omniverse" ".local" "Documents" }}
- {name: isaac-cache, mountPath: /isaac-sim/{{ . }}, subPath: {{ . | trimPrefix "." | replace "/" "-" }}}
{{- end }}
{{- end -}}

{{- define "blueprint.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "blueprint.registryEnv" -}}
- name: BLUEPRINT__REGISTRY__URL
  valueFrom:
    secretKeyRef: {name: {{ .Values.registry.existingSecret }}, key: {{ .Values.registry.key }}}
{{- end -}}

{{/* A stage's pod: settings, secrets, labs and prices, and room to write. */}}
{{- define "blueprint.jobEnv" -}}
{{ include "blueprint.registryEnv" . }}
{{- if .Values.signing.existingSecret }}
- {name: BLUEPRINT__DELIVERY__SIGNING_KEY, value: /etc/blueprint-signing/signing.pem}
{{- end }}
{{- end -}}

{{- define "blueprint.jobEnvFrom" -}}
- configMapRef: {name: {{ include "blueprint.fullname" . }}-settings}
{{- end -}}

{{- define "blueprint.jobMounts" -}}
- {name: scratch, mountPath: /var/lib/blueprint}
- {name: tmp, mountPath: /tmp}
- {name: shared-memory, mountPath: /dev/shm}
{{- if .Values.labs }}
- {name: labs, mountPath: /etc/blueprint/labs, readOnly: true}
{{- end }}
{{- if .Values.prices }}
- {name: prices, mountPath: /etc/blueprint/prices, readOnly: true}
{{- end }}
{{- if .Values.signing.existingSecret }}
- {name: signing, mountPath: /etc/blueprint-signing, readOnly: true}
{{- end }}
{{- if and .Values.simulator.enabled (include "blueprint.secret.client" .) }}
- {name: simulator-client, mountPath: /etc/blueprint-tls, readOnly: true}
{{- end }}
{{- end -}}

{{- define "blueprint.jobVolumes" -}}
- name: scratch
  emptyDir: {sizeLimit: {{ .Values.jobs.scratchSize }}}
- name: tmp
  emptyDir: {}
- name: shared-memory
  emptyDir: {medium: Memory, sizeLimit: {{ .Values.jobs.sharedMemorySize }}}
{{- if .Values.labs }}
- name: labs
  configMap: {name: {{ include "blueprint.fullname" . }}-labs}
{{- end }}
{{- if .Values.prices }}
- name: prices
  configMap: {name: {{ include "blueprint.fullname" . }}-prices}
{{- end }}
{{- with .Values.signing }}
{{- if .existingSecret }}
- name: signing
  secret:
    secretName: {{ .existingSecret }}
    defaultMode: 288
    items: [{key: {{ .key }}, path: signing.pem}]
{{- end }}
{{- end }}
{{- if and .Values.simulator.enabled (include "blueprint.secret.client" .) }}
- name: simulator-client
  secret: {secretName: {{ include "blueprint.secret.client" . }}, defaultMode: 288}
{{- end }}
{{- end -}}

{{/* Pod template of a stage, for `pod_template_file` of KubernetesPodOperator. Takes (dict "root" . "kind" "cpu"|"gpu"|"isaac"). */}}
{{- define "blueprint.podTemplate" -}}
{{- $root := .root -}}
{{- $jobs := $root.Values.jobs -}}
{{- $isaac := eq .kind "isaac" -}}
{{- $gpu := or $isaac (eq .kind "gpu") -}}
{{- $shape := ternary $jobs.gpu $jobs.cpu $gpu -}}
apiVersion: v1
kind: Pod
metadata:
  name: blueprint-stage
  labels:
    {{- include "blueprint.selector" $root | nindent 4 }}
    app.kubernetes.io/component: job
spec:
  serviceAccountName: {{ include "blueprint.account.job" $root }}
  automountServiceAccountToken: false
  priorityClassName: {{ include "blueprint.fullname" $root }}-job
  restartPolicy: Never
  terminationGracePeriodSeconds: {{ $jobs.terminationGracePeriodSeconds }}
  {{- with $root.Values.image.pullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext: {{- include (ternary "blueprint.isaacSecurity" "blueprint.podSecurity" $isaac) $root | nindent 4 }}
  {{- if $gpu }}
  nodeSelector:
    cloud.google.com/gke-accelerator: {{ $shape.accelerator }}
    {{- if $shape.spot }}
    cloud.google.com/gke-spot: "true"
    {{- end }}
  tolerations:
    - {key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}
    {{- if $shape.spot }}
    - {key: cloud.google.com/gke-spot, operator: Equal, value: "true", effect: NoSchedule}
    {{- end }}
    {{- with $shape.tolerations }}{{ toYaml . | nindent 4 }}{{ end }}
  {{- else }}
  {{- with $shape.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $shape.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
  containers:
    - name: base
      image: {{ include "blueprint.image" $root }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args: [doctor]
      {{- $resources := deepCopy $shape.resources }}
      {{- if $gpu }}
      {{- $_ := set $resources.limits "nvidia.com/gpu" (toString $shape.count) }}
      {{- end }}
      resources: {{- toYaml $resources | nindent 8 }}
      securityContext: {{- include "blueprint.containerSecurity" $root | nindent 8 }}
      envFrom: {{- include "blueprint.jobEnvFrom" $root | nindent 8 }}
      env: {{- include "blueprint.jobEnv" $root | nindent 8 }}
        {{- if $gpu }}
        - {name: NVIDIA_DRIVER_CAPABILITIES, value: all}
        {{- end }}
      volumeMounts: {{- include "blueprint.jobMounts" $root | nindent 8 }}
        {{- if $isaac }}{{ include "blueprint.isaacMounts" $root | nindent 8 }}{{ end }}
  volumes: {{- include "blueprint.jobVolumes" $root | nindent 4 }}
    {{- if $isaac }}
    - name: isaac-cache
      emptyDir: {}
    {{- end }}
{{- end -}}
