{{/*
compute.yaml, as Airflow reads it: names that must fit together are compared here, for an installation, not a night, is to fail.
A cluster that is reached by the connection `blueprint_here` is this one, and its namespace is the release's.
*/}}
{{- define "blueprint-pipeline.compute" -}}
{{- $compute := deepCopy .Values.compute -}}
{{- $profiles := default dict $compute.profiles -}}
{{- range $stage, $profile := default dict $compute.stages -}}
{{- if and (ne $profile "local") (not (hasKey $profiles $profile)) -}}
{{- fail (printf "compute.stages.%s: there is no profile '%s'; compute.profiles has %s" $stage $profile (keys $profiles | sortAlpha | join ", ")) -}}
{{- end -}}
{{- end -}}
{{- range $name, $profile := $profiles -}}
{{- if and $profile.template (not (has $profile.template (list "cpu.yaml" "gpu.yaml" "isaac.yaml"))) -}}
{{- fail (printf "compute.profiles.%s.template: there is no '%s'; this chart makes cpu.yaml, gpu.yaml and isaac.yaml" $name $profile.template) -}}
{{- end -}}
{{- end -}}
{{- range $cluster := default list $compute.clusters -}}
{{- if eq $cluster.connection "blueprint_here" -}}
{{- if and $cluster.namespace (ne $cluster.namespace $.Release.Namespace) -}}
{{- fail (printf "compute.clusters.%s.namespace: it is this cluster (connection blueprint_here), so the namespace is '%s', not '%s'; leave it out" $cluster.name $.Release.Namespace $cluster.namespace) -}}
{{- end -}}
{{- $_ := set $cluster "namespace" $.Release.Namespace -}}
{{- else if not $cluster.namespace -}}
{{- fail (printf "compute.clusters.%s.namespace: it is missing; name the namespace of the release on that cluster" $cluster.name) -}}
{{- end -}}
{{- range $stage, $profile := default dict $compute.stages -}}
{{- if and (ne $profile "local") (not (hasKey $cluster.machines $profile)) -}}
{{- fail (printf "compute.clusters.%s.machines: there is no machine for profile '%s', which stage %s takes" $cluster.name $profile $stage) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $compute -}}
{{- end -}}
