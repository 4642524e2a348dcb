{{- define "blueprint-pipeline.fullname" -}}
{{- .Values.fullnameOverride | default .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "blueprint-pipeline.selector" -}}
app.kubernetes.io/name: blueprint-pipeline
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "blueprint-pipeline.labels" -}}
{{ include "blueprint-pipeline.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "blueprint-pipeline.account.airflow" -}}
{{- .Values.serviceAccounts.airflow.name | default (printf "%s-airflow" (include "blueprint-pipeline.fullname" .)) -}}
{{- end -}}

{{- define "blueprint-pipeline.account.job" -}}
{{- .Values.serviceAccounts.job.name | default (printf "%s-job" (include "blueprint-pipeline.fullname" .)) -}}
{{- end -}}

{{- define "blueprint-pipeline.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest }}{{ $image.repository }}@{{ $image.digest }}{{ else }}{{ $image.repository }}:{{ $image.tag | default .Chart.AppVersion }}{{ end -}}
{{- end -}}

{{- define "blueprint-pipeline.canaryImage" -}}
{{- $canary := .Values.canary -}}
{{- $repository := $canary.repository | default .Values.image.repository -}}
{{- if $canary.digest }}{{ $repository }}@{{ $canary.digest }}{{ else }}{{ $repository }}:{{ $canary.tag }}{{ end -}}
{{- end -}}

{{- define "blueprint-pipeline.secret.server" -}}
{{- if .Values.tls.certManager.enabled }}{{ include "blueprint-pipeline.fullname" . }}-simulator-server{{ else }}{{ .Values.tls.existingSecrets.server }}{{ end -}}
{{- end -}}

{{- define "blueprint-pipeline.secret.client" -}}
{{- if .Values.tls.certManager.enabled }}{{ include "blueprint-pipeline.fullname" . }}-simulator-client{{ else }}{{ .Values.tls.existingSecrets.client }}{{ end -}}
{{- end -}}
