{{/* NetworkPolicy peer: the pods of components of this release. dict root, components. */}}
{{- define "eventmesh.peers" -}}
{{- range .components }}
- podSelector:
    matchLabels:
      {{- include "eventmesh.selector" (dict "root" $.root "component" .) | nindent 6 }}
{{- end }}
{{- end }}

{{/* Ports of a rule, from a list of numbers. */}}
{{- define "eventmesh.rulePorts" -}}
ports:
  {{- range . }}
  - {protocol: TCP, port: {{ int . }}}
  {{- end }}
{{- end }}

{{- define "eventmesh.rule.dns" -}}
- to: {{- toYaml .Values.networkPolicy.dns | nindent 4 }}
  ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- end }}

{{/* The ports of a list of URLs or host:port, each once. dict urls, port for the default. */}}
{{- define "eventmesh.urlPorts" -}}
{{- $ports := list -}}
{{- $default := .port -}}
{{- range .urls -}}
{{- $ports = append $ports (include "eventmesh.endpoint" (dict "url" . "port" $default) | fromYaml).port -}}
{{- end -}}
{{- toYaml (uniq $ports) -}}
{{- end }}

{{/* Egress to what one service calls. dict root, component, calls. */}}
{{- define "eventmesh.egress" -}}
{{- $v := .root.Values -}}
{{- $root := .root -}}
{{- range $callee := .calls }}
{{- if eq $callee "etcd" }}
- to:
    {{- if $v.etcd.bundled }}
    {{- include "eventmesh.peers" (dict "root" $root "components" (list "etcd")) | nindent 4 }}
  {{ include "eventmesh.rulePorts" (list 2379) | nindent 2 }}
    {{- else }}
    {{- toYaml $v.networkPolicy.external.etcd | nindent 4 }}
  {{ include "eventmesh.rulePorts" (include "eventmesh.urlPorts" (dict "urls" $v.etcd.endpoints "port" 2379) | fromYamlArray) | nindent 2 }}
    {{- end }}
{{- else if eq $callee "nats" }}
- to:
    {{- if $v.nats.bundled }}
    {{- include "eventmesh.peers" (dict "root" $root "components" (list "nats")) | nindent 4 }}
  {{ include "eventmesh.rulePorts" (list 4222 8222) | nindent 2 }}
    {{- else }}
    {{- toYaml $v.networkPolicy.external.nats | nindent 4 }}
    {{- $ports := include "eventmesh.urlPorts" (dict "urls" $v.nats.servers "port" 4222) | fromYamlArray }}
    {{- $ports = concat $ports (include "eventmesh.urlPorts" (dict "urls" $v.nats.monitorUrls) | fromYamlArray) | uniq }}
  {{ include "eventmesh.rulePorts" $ports | nindent 2 }}
    {{- end }}
{{- else }}
{{- $port := include "eventmesh.address" (dict "root" $root "component" $callee) | splitList ":" | last | int }}
- to:
    {{- include "eventmesh.peers" (dict "root" $root "components" (list $callee)) | nindent 4 }}
  {{ include "eventmesh.rulePorts" (list $port) | nindent 2 }}
{{- end }}
{{- end }}
{{- if $v.tracing.otlpUrl }}
- to: {{- toYaml $v.networkPolicy.external.otlp | nindent 4 }}
  {{ include "eventmesh.rulePorts" (include "eventmesh.urlPorts" (dict "urls" (list $v.tracing.otlpUrl)) | fromYamlArray) | nindent 2 }}
{{- end }}
{{- if $v.links }}
{{- $urls := list }}
{{- range $v.links }}
{{- if eq $.component "emesher" }}{{ $urls = append $urls .address }}{{ end }}
{{- if eq $.component "registry" }}{{ $urls = append $urls .registryAddress }}{{ end }}
{{- end }}
{{- if $urls }}
- to: {{- toYaml $v.networkPolicy.external.links | nindent 4 }}
  {{ include "eventmesh.rulePorts" (include "eventmesh.urlPorts" (dict "urls" $urls) | fromYamlArray) | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{/* Ingress of one service. dict root, component, port, service. */}}
{{- define "eventmesh.ingress" -}}
{{- $v := .root.Values -}}
{{- $component := .component -}}
{{- $callers := list -}}
{{- range include "eventmesh.services" . | fromYamlArray -}}
{{- if has $component .calls -}}{{- $callers = append $callers .component -}}{{- end -}}
{{- end -}}
{{- if and $v.toolbox.enabled (has $component (list "acl" "governance")) -}}
{{- $callers = append $callers "toolbox" -}}
{{- end -}}
{{- if $callers }}
- from:
    {{- include "eventmesh.peers" (dict "root" .root "components" $callers) | nindent 4 }}
  {{ include "eventmesh.rulePorts" (list .port) | nindent 2 }}
{{- end }}
{{- if eq $component "emesher" }}
{{- $helpers := list }}
{{- if $v.toolbox.enabled }}{{ $helpers = append $helpers "toolbox" }}{{ end }}
{{- if include "eventmesh.hasTest" .root }}{{ $helpers = append $helpers "test" }}{{ end }}
{{- if or $helpers $v.networkPolicy.clients }}
- from:
    {{- include "eventmesh.peers" (dict "root" .root "components" $helpers) | nindent 4 }}
    {{- with $v.networkPolicy.clients }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{ include "eventmesh.rulePorts" (include "eventmesh.emesherPorts" .root | fromYamlArray) | nindent 2 }}
{{- end }}
{{- end }}
{{- if and $v.links (has $component (list "emesher" "registry")) }}
- from: {{- toYaml $v.networkPolicy.external.links | nindent 4 }}
  {{ include "eventmesh.rulePorts" (list .port) | nindent 2 }}
{{- end }}
{{- with $v.networkPolicy.monitoring }}
- from: {{- toYaml . | nindent 4 }}
  {{ include "eventmesh.rulePorts" (list 9464) | nindent 2 }}
{{- end }}
{{- end }}

{{/* Ports that clients of the emesher use. */}}
{{- define "eventmesh.emesherPorts" -}}
- 9090
{{- if .Values.emesher.http.enabled }}
- 8080
{{- end }}
{{- end }}
