{{/*
The configuration file of one service: what the chart knows, and the service's `config` values over
it. dict root, key, component, port, calls, service.
*/}}
{{- define "eventmesh.config" -}}
{{- $known := include "eventmesh.config.common" . | fromYaml -}}
{{- $own := include (printf "eventmesh.config.%s" .component) . | fromYaml -}}
{{- toYaml (mergeOverwrite (mergeOverwrite $known $own) (deepCopy .service.config)) -}}
{{- end }}

{{- define "eventmesh.config.common" -}}
site: {{ include "eventmesh.site" .root | quote }}
grpc:
  host: 0.0.0.0
  port: {{ .port }}
  {{- if .root.Values.tls.enabled }}
  tls: {{- include "eventmesh.config.tls" "tls" | nindent 4 }}
    {{- /* Its clients identify themselves by user, key or token; internal calls by their tokens. */}}
    clientCertificates: {{ ternary "none" "required" (eq .component "emesher") }}
  {{- end }}
admin:
  host: 0.0.0.0
  port: 9464
log:
  level: {{ .root.Values.log.level }}
tracing:
  samplePercent: {{ .root.Values.tracing.samplePercent }}
  {{- with .root.Values.tracing.otlpUrl }}
  otlpUrl: {{ . | quote }}
  {{- end }}
drain:
  deadline: {{ .service.drainDeadline }}
serviceToken:
  file: '/run/eventmesh/service-token/{{ .root.Values.serviceToken.key }}'
{{- end }}

{{/* PEM files of the Secret mounted under a name. */}}
{{- define "eventmesh.config.tls" -}}
certFile: /run/eventmesh/{{ . }}/tls.crt
keyFile: /run/eventmesh/{{ . }}/tls.key
caFile: /run/eventmesh/{{ . }}/ca.crt
{{- end }}

{{/* `services:` of a caller: dict root, names (configuration key to component). */}}
{{- define "eventmesh.config.services" -}}
{{- $root := .root -}}
services:
  {{- range $name, $component := .names }}
  {{ $name }}:
    address: {{ include "eventmesh.address" (dict "root" $root "component" $component) }}
    {{- if $root.Values.tls.enabled }}
    tls: {{- include "eventmesh.config.tls" "tls" | nindent 6 }}
    {{- end }}
  {{- end }}
{{- end }}

{{- define "eventmesh.config.kv" -}}
kv:
  kind: etcd
  etcd:
    {{- with .Values.etcd }}
    {{- if .bundled }}
    hosts:
      - {{ printf "%s://%s:2379" (ternary "https" "http" .tls.enabled) (include "eventmesh.name" (dict "root" $ "component" "etcd")) }}
    {{- else }}
    hosts: {{- toYaml .endpoints | nindent 6 }}
    {{- if .existingSecret }}
    username: {{ .username | quote }}
    password:
      file: '/run/eventmesh/etcd/{{ .key }}'
    {{- end }}
    {{- end }}
    # Sites that share an etcd stay apart.
    prefix: eventmesh/{{ include "eventmesh.site" $ }}/
    {{- if .tls.enabled }}
    tls: {{- include "eventmesh.config.tls" "etcd-tls" | nindent 6 }}
    {{- end }}
    {{- end }}
{{- end }}

{{- define "eventmesh.config.linkToken" -}}
{{- with (first .Values.links).tokenSecret }}
linkToken:
  file: '/run/eventmesh/link-token/{{ .key }}'
{{- end }}
{{- end }}

{{- define "eventmesh.config.emesher" -}}
protocols:
  http: {{ .service.http.enabled }}
http:
  host: 0.0.0.0
  port: 8080
{{ include "eventmesh.config.services" (dict "root" .root "names" (dict "registry" "registry" "acl" "acl" "governance" "governance" "store" "store-gateway")) }}
{{- with .root.Values.links }}
links:
  {{- range . }}
  - site: {{ .site | quote }}
    address: {{ .address | quote }}
    {{- if .tls }}
    tls: {{- include "eventmesh.config.tls" (printf "link-%s" .site) | nindent 6 }}
    {{- end }}
  {{- end }}
{{- include "eventmesh.config.linkToken" $.root }}
{{- end }}
{{- end }}

{{- define "eventmesh.config.registry" -}}
{{ include "eventmesh.config.kv" .root }}
{{- with .root.Values.links }}
neighbours:
  {{- range . }}
  - site: {{ .site | quote }}
    address: {{ .registryAddress | quote }}
    cost: {{ default 1 .cost }}
    {{- if .tls }}
    tls: {{- include "eventmesh.config.tls" (printf "link-%s" .site) | nindent 6 }}
    {{- end }}
  {{- end }}
{{- include "eventmesh.config.linkToken" $.root }}
{{- end }}
{{- end }}

{{- define "eventmesh.config.acl" -}}
{{ include "eventmesh.config.kv" .root }}
governance:
  address: {{ include "eventmesh.address" (dict "root" .root "component" "governance") }}
  {{- if .root.Values.tls.enabled }}
  tls: {{- include "eventmesh.config.tls" "tls" | nindent 4 }}
  {{- end }}
{{- if .service.bootstrap.existingSecret }}
bootstrap:
  file: '/run/eventmesh/bootstrap/{{ .service.bootstrap.key }}'
{{- end }}
{{- end }}

{{- define "eventmesh.config.governance" -}}
{{ include "eventmesh.config.kv" .root }}
{{ include "eventmesh.config.services" (dict "root" .root "names" (dict "acl" "acl" "store" "store-gateway")) }}
{{- end }}

{{- define "eventmesh.config.store-gateway" -}}
store:
  kind: jetstream
  {{- with .root.Values.nats }}
  {{- if .bundled }}
  {{- $name := include "eventmesh.name" (dict "root" $.root "component" "nats") }}
  servers:
    - {{ printf "%s://%s:4222" (ternary "tls" "nats" .tls.enabled) $name }}
  # The headless name stands for every server, so that the durability of all is verified.
  monitorUrls: [http://{{ $name }}-headless:8222]
  replicas: {{ .replicas }}
  {{- else }}
  servers: {{- toYaml .servers | nindent 4 }}
  replicas: {{ .replicas }}
  {{- with .monitorUrls }}
  monitorUrls: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .existingSecret }}
  credentials:
    file: '/run/eventmesh/nats/{{ .key }}'
  {{- end }}
  {{- end }}
  {{- if .tls.enabled }}
  tls: {{- include "eventmesh.config.tls" "nats-tls" | nindent 4 }}
  {{- end }}
  {{- end }}
{{- end }}
