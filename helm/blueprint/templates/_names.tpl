{{- define "blueprint.fullname" -}}
{{- .Values.fullnameOverride | default .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "blueprint.selector" -}}
app.kubernetes.io/name: blueprint
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "blueprint.labels" -}}
{{ include "blueprint.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "blueprint.account.airflow" -}}
{{- .Values.serviceAccounts.airflow.name | default (printf "%s-airflow" (include "blueprint.fullname" .)) -}}
{{- end -}}

{{- define "blueprint.account.job" -}}
{{- .Values.serviceAccounts.job.name | default (printf "%s-job" (include "blueprint.fullname" .)) -}}
{{- end -}}

{{- define "blueprint.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest }}{{ $image.repository }}@{{ $image.digest }}{{ else }}{{ $image.repository }}:{{ $image.tag | default .Chart.AppVersion }}{{ end -}}
{{- end -}}

{{- define "blueprint.canaryImage" -}}
{{- $canary := .Values.canary -}}
{{- $repository := $canary.repository | default .Values.image.repository -}}
{{- if $canary.digest }}{{ $repository }}@{{ $canary.digest }}{{ else }}{{ $repository }}:{{ $canary.tag }}{{ end -}}
{{- end -}}

{{- define "blueprint.secret.server" -}}
{{- if .Values.tls.certManager.enabled }}{{ include "blueprint.fullname" . }}-simulator-server{{ else }}{{ .Values.tls.existingSecrets.server }}{{ end -}}
{{- end -}}

{{- define "blueprint.secret.client" -}}
{{- if .Values.tls.certManager.enabled }}{{ include "blueprint.fullname" . }}-simulator-client{{ else }}{{ .Values.tls.existingSecrets.client }}{{ end -}}
{{- end -}}
