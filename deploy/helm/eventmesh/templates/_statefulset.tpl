{{/* What both bundled back ends have in common. Arguments: dict root, component, backend. */}}

{{/* volumeClaimTemplates; none with an existing claim. Argument: the back end's values. */}}
{{- define "eventmesh.claim" -}}
{{- with .persistence }}
{{- if .existingClaim }}
[]
{{- else }}
- metadata:
    name: data
  spec:
    accessModes: [{{ .accessMode }}]
    {{- with .storageClassName }}
    storageClassName: {{ . }}
    {{- end }}
    resources:
      requests:
        storage: {{ .size }}
{{- end }}
{{- end }}
{{- end }}

{{- define "eventmesh.backend.spec" -}}
serviceName: {{ include "eventmesh.name" . }}-headless
replicas: {{ .backend.replicas }}
# A quorum forms only when its members start together.
podManagementPolicy: Parallel
persistentVolumeClaimRetentionPolicy:
  whenDeleted: {{ .backend.persistence.whenDeleted }}
  whenScaled: {{ .backend.persistence.whenScaled }}
selector:
  matchLabels:
    {{- include "eventmesh.selector" . | nindent 4 }}
{{- if not .backend.persistence.existingClaim }}
volumeClaimTemplates:
  {{- include "eventmesh.claim" .backend | nindent 2 }}
{{- end }}
{{- end }}

{{- define "eventmesh.backend.pod" -}}
serviceAccountName: {{ include "eventmesh.name" . }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- include "eventmesh.pullSecrets" .root }}
terminationGracePeriodSeconds: {{ .backend.terminationGracePeriodSeconds }}
securityContext: {{- toYaml .root.Values.defaults.podSecurityContext | nindent 2 }}
{{- $spread := dict "enabled" true "whenUnsatisfiable" .root.Values.defaults.topologySpread.whenUnsatisfiable }}
{{- include "eventmesh.scheduling" (dict "root" .root "component" .component "service" (merge (dict "topologySpread" $spread) .backend)) }}
{{- end }}

{{- define "eventmesh.backend.volumes" -}}
{{- with .backend.persistence.existingClaim }}
- name: data
  persistentVolumeClaim:
    claimName: {{ . }}
{{- end }}
{{- if .backend.tls.enabled }}
- name: tls
  secret:
    secretName: {{ .backend.tls.existingSecret | quote }}
    defaultMode: 288 # 0440
{{- end }}
{{- end }}

{{- define "eventmesh.backend.objects" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "eventmesh.metadata" (merge (dict "name" (include "eventmesh.name" .)) .) | nindent 2 }}
automountServiceAccountToken: false
---
apiVersion: v1
kind: Service
metadata:
  {{- include "eventmesh.metadata" (merge (dict "name" (include "eventmesh.name" .)) .) | nindent 2 }}
spec:
  selector:
    {{- include "eventmesh.selector" . | nindent 4 }}
  ports:
    {{- range .clientPorts }}
    - name: {{ .name }}
      port: {{ .port }}
      targetPort: {{ .name }}
    {{- end }}
---
apiVersion: v1
kind: Service
metadata:
  {{- include "eventmesh.metadata" (merge (dict "name" (printf "%s-headless" (include "eventmesh.name" .))) .) | nindent 2 }}
spec:
  clusterIP: None
  # Members find one another before they are ready.
  publishNotReadyAddresses: true
  selector:
    {{- include "eventmesh.selector" . | nindent 4 }}
  ports:
    - name: peer
      port: {{ .peerPort }}
      targetPort: peer
{{- end }}
