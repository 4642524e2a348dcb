{{/* What every pod of ours shares. Secrets are mounted with mode 288, which is 0440: the group reads. */}}
{{- define "blueprint-pipeline.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* NVIDIA's image has one user that may write where Isaac Sim writes. */}}
{{- define "blueprint-pipeline.isaacSecurity" -}}
runAsNonRoot: true
runAsUser: 1234
runAsGroup: 1234
fsGroup: 1234
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* Shaders, drivers' caches and Kit's own files: the root file system is read-only. */}}
{{- define "blueprint-pipeline.isaacMounts" -}}
{{- range list "kit/cache" ".cache" ".nv" ".nvidia-omniverse" ".local" "Documents" }}
- {name: isaac-cache, mountPath: /isaac-sim/{{ . }}, subPath: {{ . | trimPrefix "." | replace "/" "-" }}}
{{- end }}
{{- end -}}

{{- define "blueprint-pipeline.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "blueprint-pipeline.registryEnv" -}}
- name: BPP__REGISTRY__URL
  valueFrom:
    secretKeyRef: {name: {{ .Values.registry.existingSecret }}, key: {{ .Values.registry.key }}}
{{- end -}}

{{/* A stage's pod: settings, secrets, labs and prices, and room to write. The key that signs bundles is for pods that sign alone. */}}
{{- define "blueprint-pipeline.jobEnv" -}}
{{ include "blueprint-pipeline.registryEnv" . }}
{{- end -}}

{{/* Where a stage has the files of a scene, and the served simulator reads them: the workspace itself, or the copies of what lies in a bucket. */}}
{{- define "blueprint-pipeline.scenesPath" -}}
{{- if hasPrefix "/" .Values.workspace.url }}{{ .Values.workspace.url }}{{ else }}/var/lib/blueprint-pipeline/cache/remote{{ end -}}
{{- end -}}

{{/* How a stage calls the served simulator. */}}
{{- define "blueprint-pipeline.simulatorEnv" -}}
- {name: BPP__SIMULATION__ADDRESS, value: {{ include "blueprint-pipeline.simulatorAddress" . | quote }}}
- {name: BPP__SIMULATION__CERTIFICATE, value: /etc/blueprint-pipeline-tls/tls.crt}
- {name: BPP__SIMULATION__PRIVATE_KEY, value: /etc/blueprint-pipeline-tls/tls.key}
- {name: BPP__SIMULATION__SERVER_CA, value: /etc/blueprint-pipeline-tls/ca.crt}
{{- if .Values.simulator.token.existingSecret }}
- {name: BPP__SIMULATION__TOKEN_FILE, value: /etc/blueprint-pipeline-token/token}
{{- end }}
{{- end -}}

{{- define "blueprint-pipeline.simulatorAddress" -}}
{{- printf "%s-simulator.%s.svc:%d" (include "blueprint-pipeline.fullname" .) .Release.Namespace (int .Values.simulator.port) -}}
{{- end -}}

{{/* Whether pods of a template sign: its profile takes the stage that does. Takes (dict "root" . "template" "cpu.yaml"). */}}
{{- define "blueprint-pipeline.signs" -}}
{{- $compute := .root.Values.compute -}}
{{- $profile := get (default dict $compute.stages) "package_bundle" | default "local" -}}
{{- $template := get (get (default dict $compute.profiles) $profile | default dict) "template" -}}
{{- if and .root.Values.signing.existingSecret (eq (toString $template) .template) }}yes{{ end -}}
{{- end -}}

{{- define "blueprint-pipeline.jobEnvFrom" -}}
- configMapRef: {name: {{ include "blueprint-pipeline.fullname" . }}-settings}
{{- end -}}

{{- define "blueprint-pipeline.jobMounts" -}}
- {name: scratch, mountPath: /var/lib/blueprint-pipeline}
- {name: tmp, mountPath: /tmp}
- {name: shared-memory, mountPath: /dev/shm}
{{- if .Values.labs }}
- {name: labs, mountPath: /etc/blueprint-pipeline/labs, readOnly: true}
{{- end }}
{{- if .Values.prices }}
- {name: prices, mountPath: /etc/blueprint-pipeline/prices, readOnly: true}
{{- end }}
{{- if include "blueprint-pipeline.scenesAreWorkspace" . }}
- {name: scenes, mountPath: {{ include "blueprint-pipeline.scenesPath" . }}}
{{- end }}
{{- end -}}

{{/* Whether the volume of a served simulator is the workspace, which all pods have, and no copies of what lies in a bucket. */}}
{{- define "blueprint-pipeline.scenesAreWorkspace" -}}
{{- if and .Values.simulator.enabled (hasPrefix "/" .Values.workspace.url) }}yes{{ end -}}
{{- end -}}

{{/* What a pod that calls the served simulator has beside: the copies of scenes that both see, and what lets it in. */}}
{{- define "blueprint-pipeline.simulatorMounts" -}}
{{- if not (include "blueprint-pipeline.scenesAreWorkspace" .) }}
- {name: scenes, mountPath: {{ include "blueprint-pipeline.scenesPath" . }}}
{{- end }}
- {name: simulator-client, mountPath: /etc/blueprint-pipeline-tls, readOnly: true}
{{- if .Values.simulator.token.existingSecret }}
- {name: simulator-token, mountPath: /etc/blueprint-pipeline-token, readOnly: true}
{{- end }}
{{- end -}}

{{- define "blueprint-pipeline.jobVolumes" -}}
- name: scratch
  emptyDir: {sizeLimit: {{ .Values.jobs.scratchSize }}}
- name: tmp
  emptyDir: {}
- name: shared-memory
  emptyDir: {medium: Memory, sizeLimit: {{ .Values.jobs.sharedMemorySize }}}
{{- if .Values.labs }}
- name: labs
  configMap: {name: {{ include "blueprint-pipeline.fullname" . }}-labs}
{{- end }}
{{- if .Values.prices }}
- name: prices
  configMap: {name: {{ include "blueprint-pipeline.fullname" . }}-prices}
{{- end }}
{{- if include "blueprint-pipeline.scenesAreWorkspace" . }}
- name: scenes
  {{- toYaml .Values.simulator.scenesVolume | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "blueprint-pipeline.simulatorVolumes" -}}
{{- if not (include "blueprint-pipeline.scenesAreWorkspace" .) }}
- name: scenes
  {{- toYaml .Values.simulator.scenesVolume | nindent 2 }}
{{- end }}
- name: simulator-client
  secret: {secretName: {{ include "blueprint-pipeline.secret.client" . }}, defaultMode: 288}
{{- with .Values.simulator.token }}
{{- if .existingSecret }}
- name: simulator-token
  secret:
    secretName: {{ .existingSecret }}
    defaultMode: 288
    items: [{key: {{ .key }}, path: token}]
{{- end }}
{{- end }}
{{- end -}}

{{/* Pod template of a stage, for `pod_template_file` of KubernetesPodOperator. Takes (dict "root" . "kind" "cpu"|"gpu"|"isaac"). */}}
{{- define "blueprint-pipeline.podTemplate" -}}
{{- $root := .root -}}
{{- $jobs := $root.Values.jobs -}}
{{- $isaac := eq .kind "isaac" -}}
{{- $calls := and $root.Values.simulator.enabled (not $isaac) -}}
{{- $gpu := or $isaac (eq .kind "gpu") -}}
{{- $shape := ternary $jobs.gpu $jobs.cpu $gpu -}}
{{- $signs := include "blueprint-pipeline.signs" (dict "root" $root "template" (printf "%s.yaml" .kind)) -}}
apiVersion: v1
kind: Pod
metadata:
  name: blueprint-pipeline-stage
  labels:
    {{- include "blueprint-pipeline.selector" $root | nindent 4 }}
    app.kubernetes.io/component: job
spec:
  serviceAccountName: {{ include "blueprint-pipeline.account.job" $root }}
  automountServiceAccountToken: false
  priorityClassName: {{ include "blueprint-pipeline.fullname" $root }}-job
  restartPolicy: Never
  terminationGracePeriodSeconds: {{ $jobs.terminationGracePeriodSeconds }}
  {{- with $root.Values.image.pullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext: {{- include (ternary "blueprint-pipeline.isaacSecurity" "blueprint-pipeline.podSecurity" $isaac) $root | nindent 4 }}
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
      image: {{ include "blueprint-pipeline.image" $root }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args: [doctor]
      {{- $resources := deepCopy $shape.resources }}
      {{- if $gpu }}
      {{- $_ := set $resources.limits "nvidia.com/gpu" (toString $shape.count) }}
      {{- end }}
      resources: {{- toYaml $resources | nindent 8 }}
      securityContext: {{- include "blueprint-pipeline.containerSecurity" $root | nindent 8 }}
      envFrom: {{- include "blueprint-pipeline.jobEnvFrom" $root | nindent 8 }}
      env: {{- include "blueprint-pipeline.jobEnv" $root | nindent 8 }}
        {{- if $signs }}
        - {name: BPP__DELIVERY__SIGNING_KEY, value: /etc/blueprint-pipeline-signing/signing.pem}
        {{- end }}
        {{- if $calls }}{{ include "blueprint-pipeline.simulatorEnv" $root | nindent 8 }}{{ end }}
        {{- if $gpu }}
        - {name: NVIDIA_DRIVER_CAPABILITIES, value: all}
        {{- end }}
      volumeMounts: {{- include "blueprint-pipeline.jobMounts" $root | nindent 8 }}
        {{- if $calls }}{{ include "blueprint-pipeline.simulatorMounts" $root | nindent 8 }}{{ end }}
        {{- if $signs }}
        - {name: signing, mountPath: /etc/blueprint-pipeline-signing, readOnly: true}
        {{- end }}
        {{- if $isaac }}{{ include "blueprint-pipeline.isaacMounts" $root | nindent 8 }}{{ end }}
  volumes: {{- include "blueprint-pipeline.jobVolumes" $root | nindent 4 }}
    {{- if $calls }}{{ include "blueprint-pipeline.simulatorVolumes" $root | nindent 4 }}{{ end }}
    {{- if $signs }}
    - name: signing
      secret:
        secretName: {{ $root.Values.signing.existingSecret }}
        defaultMode: 288
        items: [{key: {{ $root.Values.signing.key }}, path: signing.pem}]
    {{- end }}
    {{- if $isaac }}
    - name: isaac-cache
      {{- if $jobs.isaacCacheClaim }}
      persistentVolumeClaim: {claimName: {{ $jobs.isaacCacheClaim }}}
      {{- else }}
      emptyDir: {}
      {{- end }}
    {{- end }}
{{- end -}}
