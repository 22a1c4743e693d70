{{- /* The release's name for an object of base/, whose main objects are called altagate
and edge. */}}
{{- define "altagate.name" -}}
{{- if has .name (list "altagate" "edge") }}{{ .root.Release.Name }}
{{- else if eq .name "edge-config" }}{{ .root.Release.Name }}-proxy-config
{{- else }}{{ .root.Release.Name }}-{{ trimPrefix "altagate-" .name }}
{{- end }}
{{- end }}

{{- define "altagate.edgeFile" -}}
{{- if eq .Values.mode "nginx" }}edge.conf{{ else }}edge.yaml{{ end }}
{{- end }}

{{- define "altagate.edgeText" -}}
{{- .Values.edge | default (.Files.Get (printf "base/%s/%s" .Values.mode (include "altagate.edgeFile" .))) }}
{{- end }}

{{- define "altagate.labels" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: altagate
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* A ConfigMap of one file. */}}
{{- define "altagate.config" }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "altagate.name" . }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "altagate.labels" .root | nindent 4 }}
data:
  {{ .file }}: {{ .text | default (.root.Files.Get (printf "base/%s/%s" .root.Values.mode .file)) | toJson }}
{{- end }}

{{- /* An object of base/, with the release's name and labels, and what values say. */}}
{{- define "altagate.object" }}
{{- $o := .object }}
{{- $root := .root }}
{{- $off := or (and (eq $o.kind "PodDisruptionBudget") (not $root.Values.podDisruptionBudget.enabled))
               (and (eq $o.kind "NetworkPolicy") (not $root.Values.networkPolicy.enabled)) }}
{{- if not $off }}
{{- $_ := set $o.metadata "labels" (merge dict (default dict $o.metadata.labels) (include "altagate.labels" $root | fromYaml)) }}
{{- $in := dict "spec" $o.spec "metadata" $o.metadata "name" $o.metadata.name "root" $root }}
{{- if eq $o.kind "Deployment" }}{{ include "altagate.deployment" $in }}
{{- else if eq $o.kind "Service" }}{{ include "altagate.service" $in }}
{{- else if eq $o.kind "NetworkPolicy" }}{{ include "altagate.networkPolicy" $in }}
{{- else }}
{{- $_ := set $o.spec.selector.matchLabels "app.kubernetes.io/instance" $root.Release.Name }}
{{- end }}
{{- if hasSuffix "Monitor" $o.kind }}
{{- $_ := set $o.metadata "labels" (merge dict $root.Values.monitoring.labels $o.metadata.labels) }}
{{- end }}
{{- $_ := set $o.metadata "name" (include "altagate.name" (dict "name" $o.metadata.name "root" $root)) }}
{{- $_ := set $o.metadata "namespace" $root.Release.Namespace }}
---
{{ toYaml $o }}
{{- end }}
{{- end }}

{{- define "altagate.deployment" }}
{{- $root := .root }}
{{- $v := .root.Values }}
{{- if $v.replicas }}{{ $_ := set .spec "replicas" $v.replicas }}{{ end }}
{{- $_ := set .spec.selector.matchLabels "app.kubernetes.io/instance" $root.Release.Name }}
{{- $_ := set .spec.template.metadata "labels" (merge dict .spec.template.metadata.labels (include "altagate.labels" $root | fromYaml)) }}
{{- $annotations := deepCopy $v.podAnnotations }}
{{- if ne $v.mode "shared" }}
{{- /* altagate takes a new config by itself; a proxy's wants new pods. */}}
{{- $_ := set $annotations "checksum/proxy-config" (include "altagate.edgeText" $root | sha256sum) }}
{{- end }}
{{- with $annotations }}{{ $_ := set $.spec.template.metadata "annotations" . }}{{ end }}
{{- $pod := .spec.template.spec }}
{{- range $key := list "imagePullSecrets" "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" }}
{{- with index $v $key }}{{ $_ := set $pod $key . }}{{ end }}
{{- end }}
{{- range $c := concat (default list $pod.initContainers) $pod.containers }}
{{- if eq $c.name "altagate" }}
{{- $_ := set $c "image" (printf "%s%s%s" $v.image.repository (ternary "@" ":" (hasPrefix "sha256:" $v.image.tag)) $v.image.tag) }}
{{- with $v.resources }}{{ $_ := set $c "resources" . }}{{ end }}
{{- else }}
{{- with $v.edgeImage }}{{ $_ := set $c "image" . }}{{ end }}
{{- with $v.edgeResources }}{{ $_ := set $c "resources" . }}{{ end }}
{{- end }}
{{- end }}
{{- range $volume := $pod.volumes }}
{{- with $volume.configMap }}
{{- $_ := set . "name" (include "altagate.name" (dict "name" .name "root" $root)) }}
{{- end }}
{{- with $volume.secret }}{{ $_ := set . "secretName" $v.keysSecret }}{{ end }}
{{- end }}
{{- end }}

{{- define "altagate.service" }}
{{- $_ := set .spec.selector "app.kubernetes.io/instance" .root.Release.Name }}
{{- if eq .name "edge" }}
{{- $type := .root.Values.service.type }}
{{- if ne $type "ClusterIP" }}
{{- $_ := set .spec "type" $type }}
{{- $_ := set .spec "externalTrafficPolicy" "Local" }}
{{- end }}
{{- with .root.Values.service.annotations }}{{ $_ := set $.metadata "annotations" . }}{{ end }}
{{- end }}
{{- end }}

{{- define "altagate.networkPolicy" }}
{{- $v := .root.Values.networkPolicy }}
{{- $_ := set .spec.podSelector.matchLabels "app.kubernetes.io/instance" .root.Release.Name }}
{{- range $rule := .spec.ingress }}
{{- range $from := $rule.from }}
{{- $admin := eq (first $rule.ports).port "admin" }}
{{- $_ := set $from.namespaceSelector.matchLabels "kubernetes.io/metadata.name" (ternary $v.monitoring $v.gateways $admin) }}
{{- end }}
{{- end }}
{{- end }}
