{{/* Everything of a service's pod. dict root, key, component, port, calls, service. */}}
{{- define "eventmesh.pod" -}}
metadata:
  labels:
    {{- include "eventmesh.podLabels" . | nindent 4 }}
  annotations:
    # A changed configuration file rolls the pods; the services read it once.
    checksum/config: {{ include "eventmesh.config" . | sha256sum }}
    {{- if .root.Values.metrics.podAnnotations }}
    prometheus.io/scrape: 'true'
    prometheus.io/port: '9464'
    prometheus.io/path: /metrics
    {{- end }}
    {{- with merge (dict) .service.podAnnotations .root.Values.commonAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "eventmesh.serviceAccount" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- include "eventmesh.pullSecrets" .root | nindent 2 }}
  terminationGracePeriodSeconds: {{ .service.terminationGracePeriodSeconds }}
  securityContext: {{- toYaml .service.podSecurityContext | nindent 4 }}
  {{- include "eventmesh.scheduling" . | nindent 2 }}
  {{- with .service.initContainers }}
  initContainers:
    {{- include "eventmesh.containers" (dict "list" . "service" $.service) | nindent 4 }}
  {{- end }}
  containers:
    - name: {{ .component }}
      {{- include "eventmesh.container" . | nindent 6 }}
    {{- with .service.extraContainers }}
    {{- include "eventmesh.containers" (dict "list" . "service" $.service) | nindent 4 }}
    {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ include "eventmesh.name" . }}
    - name: tmp
      emptyDir:
        medium: Memory
        sizeLimit: 16Mi
    {{- range include "eventmesh.secrets" . | fromYamlArray }}
    - name: {{ .name }}
      secret:
        secretName: {{ .secret | quote }}
        defaultMode: 288 # 0440
    {{- end }}
    {{- with .service.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{- define "eventmesh.podLabels" -}}
{{- with merge (dict) .service.podLabels .root.Values.commonLabels }}
{{- toYaml . }}
{{ end -}}
{{ include "eventmesh.selector" . }}
{{- end }}

{{- define "eventmesh.container" -}}
image: {{ include "eventmesh.image" (dict "root" .root "image" .service.image) }}
imagePullPolicy: {{ .service.image.pullPolicy }}
# The entry of the image; the file and the folder below are all that it reads and writes.
args: [--config, /etc/eventmesh/config.yaml]
env:
  - name: POD_NAME
    valueFrom:
      fieldRef:
        fieldPath: metadata.name
  - name: POD_IP
    valueFrom:
      fieldRef:
        fieldPath: status.podIP
  - name: EVENTMESH_MEMBER_ID
    value: $(POD_NAME)
  - name: EVENTMESH_GRPC__ADVERTISE
    value: $(POD_IP):{{ .port }}
  {{- with .service.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
ports:
  {{- range include "eventmesh.ports" . | fromYamlArray }}
  - name: {{ .name }}
    containerPort: {{ .port }}
  {{- end }}
  - name: admin
    containerPort: 9464
startupProbe:
  httpGet: {path: /livez, port: admin}
  {{- toYaml .service.probes.startup | nindent 2 }}
# Whether the event loop turns at all; load and missing back ends never fail it.
livenessProbe:
  httpGet: {path: /livez, port: admin}
  {{- toYaml .service.probes.liveness | nindent 2 }}
# Whether it can serve; false from the first moment of draining.
readinessProbe:
  httpGet: {path: /readyz, port: admin}
  {{- toYaml .service.probes.readiness | nindent 2 }}
{{- if .service.preStopSeconds }}
lifecycle:
  preStop:
    sleep:
      seconds: {{ .service.preStopSeconds }}
{{- end }}
resources: {{- toYaml .service.resources | nindent 2 }}
securityContext: {{- toYaml .service.containerSecurityContext | nindent 2 }}
volumeMounts:
  - name: config
    mountPath: /etc/eventmesh
    readOnly: true
  - name: tmp
    mountPath: /tmp
  {{- range include "eventmesh.secrets" . | fromYamlArray }}
  - name: {{ .name }}
    mountPath: /run/eventmesh/{{ .name }}
    readOnly: true
  {{- end }}
  {{- with .service.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* Ports that a service serves its callers on. */}}
{{- define "eventmesh.ports" -}}
- {name: grpc, port: {{ .port }}}
{{- if and (eq .key "emesher") .service.http.enabled }}
- {name: http, port: 8080}
{{- end }}
{{- end }}

{{/* Secrets that a service reads, as files under /run/eventmesh/<name>. */}}
{{- define "eventmesh.secrets" -}}
{{- $v := .root.Values -}}
- {name: service-token, secret: {{ $v.serviceToken.existingSecret | quote }}}
{{- if $v.tls.enabled }}
- {name: tls, secret: {{ include "eventmesh.tlsSecret" (dict "root" .root "component" .component "existing" .service.tls.existingSecret) | quote }}}
{{- end }}
{{- if and (eq .key "acl") .service.bootstrap.existingSecret }}
- {name: bootstrap, secret: {{ .service.bootstrap.existingSecret | quote }}}
{{- end }}
{{- if has "etcd" .calls }}
{{- if and (not $v.etcd.bundled) $v.etcd.existingSecret }}
- {name: etcd, secret: {{ $v.etcd.existingSecret | quote }}}
{{- end }}
{{- if $v.etcd.tls.enabled }}
- {name: etcd-tls, secret: {{ $v.etcd.tls.existingSecret | quote }}}
{{- end }}
{{- end }}
{{- if has "nats" .calls }}
{{- if and (not $v.nats.bundled) $v.nats.existingSecret }}
- {name: nats, secret: {{ $v.nats.existingSecret | quote }}}
{{- end }}
{{- if $v.nats.tls.enabled }}
- {name: nats-tls, secret: {{ $v.nats.tls.existingSecret | quote }}}
{{- end }}
{{- end }}
{{- if and $v.links (has .component (list "emesher" "registry")) }}
{{- with (first $v.links).tokenSecret }}
- {name: link-token, secret: {{ .name | quote }}}
{{- end }}
{{- range $v.links }}
{{- if .tls }}
- {name: 'link-{{ .site }}', secret: {{ .tls.existingSecret | quote }}}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The user's own containers, held to the same rules where they say nothing. */}}
{{- define "eventmesh.containers" -}}
{{- $service := .service -}}
{{- $out := list -}}
{{- range .list -}}
{{- $base := dict "securityContext" $service.containerSecurityContext "resources" $service.resources -}}
{{- $out = append $out (mergeOverwrite (deepCopy $base) .) -}}
{{- end -}}
{{- toYaml $out -}}
{{- end }}

{{/* Where pods may run; spreading names its pods, for without a selector it spreads nothing. */}}
{{- define "eventmesh.scheduling" -}}
{{- with .service.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .service.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .service.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .service.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- $selector := dict "matchLabels" (include "eventmesh.selector" . | fromYaml) }}
{{- if .service.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range .service.topologySpreadConstraints }}
  - {{- toYaml (merge (deepCopy .) (dict "labelSelector" $selector)) | nindent 4 }}
  {{- end }}
{{- else if .service.topologySpread.enabled }}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: {{ $.service.topologySpread.whenUnsatisfiable }}
    labelSelector: {{- toYaml $selector | nindent 6 }}
  {{- end }}
{{- end }}
{{- end }}
