{{/*
The bundled server's configuration, one setting a line as its parser wants. sync_interval: always is
what makes an acknowledgement survive a power cut: the server's own default is two minutes.
*/}}
{{- define "eventmesh.nats.conf" -}}
{{- $backend := .root.Values.nats -}}
server_name: $POD_NAME
listen: "0.0.0.0:4222"
http: "0.0.0.0:8222"
pid_file: "/run/nats/nats.pid"
lame_duck_grace_period: "5s"
lame_duck_duration: "30s"
max_payload: 8MB
jetstream {
  store_dir: "/data/jetstream"
  sync_interval: always
}
{{- if $backend.tls.enabled }}
tls {
  cert_file: "/run/nats-tls/tls.crt"
  key_file: "/run/nats-tls/tls.key"
  ca_file: "/run/nats-tls/ca.crt"
  verify: true
}
{{- end }}
{{- if gt (int $backend.replicas) 1 }}
cluster {
  name: "{{ .name }}"
  listen: "0.0.0.0:6222"
  no_advertise: true
  routes: [
    {{- range $i := until (int $backend.replicas) }}
    "nats://{{ $.name }}-{{ $i }}.{{ $.name }}-headless:6222"
    {{- end }}
  ]
  {{- if $backend.tls.enabled }}
  tls {
    cert_file: "/run/nats-tls/tls.crt"
    key_file: "/run/nats-tls/tls.key"
    ca_file: "/run/nats-tls/ca.crt"
    verify: true
  }
  {{- end }}
}
{{- end }}
{{- end }}
