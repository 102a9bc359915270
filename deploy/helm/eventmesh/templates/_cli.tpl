{{/* Whether there is a pod that `helm test` runs: it needs a principal, and the CLI speaks no TLS. */}}
{{- define "eventmesh.hasTest" -}}
{{- if and .Values.test.enabled .Values.cli.existingSecret (not .Values.tls.enabled) -}}yes{{- end -}}
{{- end }}

{{/* Pod of the command line. dict root, component, script, restart. */}}
{{- define "eventmesh.cli.pod" -}}
{{- $cli := .root.Values.cli -}}
{{- $emesher := include "eventmesh.name" (dict "root" .root "component" "emesher") -}}
automountServiceAccountToken: false
enableServiceLinks: false
serviceAccountName: {{ include "eventmesh.name" . }}
{{- include "eventmesh.pullSecrets" .root }}
restartPolicy: {{ .restart }}
terminationGracePeriodSeconds: 5
securityContext: {{- toYaml .root.Values.defaults.podSecurityContext | nindent 2 }}
containers:
  - name: mesh
    image: {{ include "eventmesh.image" (dict "root" .root "image" $cli.image) }}
    imagePullPolicy: {{ $cli.image.pullPolicy }}
    command: [sh, -c]
    args:
      - |
        {{- .script | nindent 8 }}
    env:
      - name: MESH_GRPC
        value: {{ $emesher }}:9090
      {{- if .root.Values.emesher.http.enabled }}
      - name: MESH_SERVER
        value: http://{{ $emesher }}:8080
      {{- end }}
      {{- if $cli.existingSecret }}
      - name: MESH_API_KEY_FILE
        value: /run/eventmesh/cli/{{ $cli.key }}
      {{- end }}
    resources: {{- toYaml $cli.resources | nindent 6 }}
    securityContext: {{- toYaml .root.Values.defaults.containerSecurityContext | nindent 6 }}
    volumeMounts:
      - name: tmp
        mountPath: /tmp
      {{- if $cli.existingSecret }}
      - name: cli
        mountPath: /run/eventmesh/cli
        readOnly: true
      {{- end }}
volumes:
  - name: tmp
    emptyDir:
      sizeLimit: 16Mi
  {{- if $cli.existingSecret }}
  - name: cli
    secret:
      secretName: {{ $cli.existingSecret | quote }}
      defaultMode: 288 # 0440
  {{- end }}
{{- end }}

{{- define "eventmesh.cli.account" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "eventmesh.metadata" (merge (dict "name" (include "eventmesh.name" .)) .) | nindent 2 }}
automountServiceAccountToken: false
{{- end }}

{{/* Publishes an event and reads that very event back from the site's store. */}}
{{- define "eventmesh.test.script" -}}
set -eu
since=$(date -u -d "@$(($(date +%s) - 300))" +%Y-%m-%dT%H:%M:%SZ)
subject="helm-test-$(date +%s)-$$"
mesh pub {{ .Values.test.topic | squote }} '{"helm":"test"}' --subject "$subject"
mesh sub {{ .Values.test.topic | squote }} --from "$since" --filter "exact:subject=$subject" --count 1 --timeout 60s
{{- end }}
