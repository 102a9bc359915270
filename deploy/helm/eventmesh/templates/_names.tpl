{{/*
Prefix of every object's name, at most 40 characters, so that the longest suffix stays within 63 and
the pods of a StatefulSet can carry their labels. A long one ends in a hash of the whole, so that two
releases that begin alike stay apart.
*/}}
{{- define "eventmesh.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- $full = default $full .Values.fullnameOverride | lower | replace "." "-" -}}
{{- if gt (len $full) 40 -}}
{{- printf "%s-%s" ($full | trunc 31 | trimSuffix "-") ($full | sha256sum | trunc 8) -}}
{{- else -}}
{{- $full -}}
{{- end -}}
{{- end }}

{{/* Name of one component's objects: dict root, component. */}}
{{- define "eventmesh.name" -}}
{{- printf "%s-%s" (include "eventmesh.fullname" .root) .component -}}
{{- end }}

{{/*
Labels that select the pods of one component. They depend on no value: selectors are immutable, so a
value that changed them would break every upgrade.
*/}}
{{- define "eventmesh.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* Labels of one component's objects. */}}
{{- define "eventmesh.labels" -}}
{{- with .root.Values.commonLabels }}
{{- toYaml . }}
{{ end -}}
{{ include "eventmesh.selector" . }}
app.kubernetes.io/part-of: eventmesh
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The metadata of an object: dict root, component, name, and perhaps annotations. */}}
{{- define "eventmesh.metadata" -}}
name: {{ .name }}
labels:
  {{- include "eventmesh.labels" . | nindent 2 }}
{{- with merge (dict) (default dict .annotations) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Reference of an image: dict root, image, and tag for the default. */}}
{{- define "eventmesh.image" -}}
{{- $registry := default .image.registry .root.Values.global.imageRegistry -}}
{{- $path := ternary .image.repository (printf "%s/%s" $registry .image.repository) (eq $registry "") -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $path .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $path (default .root.Chart.AppVersion .image.tag) -}}
{{- end -}}
{{- end }}

{{- define "eventmesh.pullSecrets" -}}
{{- with .Values.global.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Name of the site: unique in the mesh, part of every route. */}}
{{- define "eventmesh.site" -}}
{{- default (.Release.Name | replace "." "-") .Values.site.name -}}
{{- end }}

{{- define "eventmesh.serviceAccount" -}}
{{- if .service.serviceAccount.create -}}
{{- default (include "eventmesh.name" .) .service.serviceAccount.name -}}
{{- else -}}
{{- default "default" .service.serviceAccount.name -}}
{{- end -}}
{{- end }}
