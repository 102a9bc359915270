{{/*
The five services: the key of their values, their component label, their gRPC port and what they
call. The calls make both the configuration files and the edges of the NetworkPolicies. Emeshers call
each other at their pods' addresses, which the registry knows.
*/}}
{{- define "eventmesh.services" -}}
- {key: emesher, component: emesher, port: 9090, calls: [registry, acl, governance, store-gateway, emesher]}
- {key: registry, component: registry, port: 9091, calls: [etcd]}
- {key: acl, component: acl, port: 9093, calls: [etcd, governance]}
- {key: governance, component: governance, port: 9094, calls: [etcd, acl, store-gateway]}
- {key: storeGateway, component: store-gateway, port: 9092, calls: [nats]}
{{- end }}

{{/* Values of one service: its own over `defaults`. dict root, key. */}}
{{- define "eventmesh.service" -}}
{{- toYaml (mergeOverwrite (deepCopy .root.Values.defaults) (index .root.Values .key)) -}}
{{- end }}

{{/* host:port of a service of this release, in the namespace of the caller. dict root, component. */}}
{{- define "eventmesh.address" -}}
{{- $root := .root -}}
{{- $component := .component -}}
{{- range include "eventmesh.services" . | fromYamlArray -}}
{{- if eq .component $component -}}
{{- printf "%s:%d" (include "eventmesh.name" (dict "root" $root "component" $component)) (int .port) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Seconds of a duration such as 500ms, 25s, 2m, 1h; part seconds are rounded up. */}}
{{- define "eventmesh.seconds" -}}
{{- $count := regexFind "^[0-9]+" . | int -}}
{{- $unit := regexFind "[a-z]+$" . -}}
{{- if eq $unit "ms" -}}{{ divf $count 1000 | ceil | int }}
{{- else if eq $unit "s" -}}{{ $count }}
{{- else if eq $unit "m" -}}{{ mul $count 60 }}
{{- else -}}{{ mul $count 3600 }}
{{- end -}}
{{- end }}

{{/* Name of the Secret with a component's certificate. dict root, component, existing. */}}
{{- define "eventmesh.tlsSecret" -}}
{{- $shared := .root.Values.tls.existingSecret -}}
{{- default (default (printf "%s-tls" (include "eventmesh.name" .)) $shared) .existing -}}
{{- end }}

{{/* host and port of a URL or host:port, as YAML. dict url, port for the default. */}}
{{- define "eventmesh.endpoint" -}}
{{- $rest := regexReplaceAll "^[a-z]+://" .url "" | splitList "/" | first -}}
{{- $port := regexFind ":[0-9]+$" $rest | trimPrefix ":" -}}
{{- $scheme := regexFind "^https" .url -}}
{{- $default := ternary 443 (default 80 .port) (eq $scheme "https") -}}
host: {{ regexReplaceAll ":[0-9]+$" $rest "" | quote }}
port: {{ ternary $default (int $port) (eq $port "") }}
{{- end }}
