{{/*
What the schema cannot say: rules between values. Each names the value and the way out. Included by
the ConfigMap template, so that no object is made when one fails.
*/}}
{{- define "eventmesh.checks" -}}
{{- $v := .Values -}}
{{- if not $v.serviceToken.existingSecret -}}
{{- fail "serviceToken.existingSecret is needed: name a Secret with a random token, made by `kubectl create secret generic mesh-service-token --from-literal=token=\"$(openssl rand -hex 32)\"`; the chart makes no passwords" -}}
{{- end -}}
{{- if and $v.links (not $v.site.name) -}}
{{- fail "site.name is needed when there are links: neighbours know this site by it" -}}
{{- end -}}
{{- include "eventmesh.checks.tls" . -}}
{{- include "eventmesh.checks.links" . -}}
{{- include "eventmesh.checks.network" . -}}
{{- include "eventmesh.checks.monitors" . -}}
{{- include "eventmesh.checks.bundled" . -}}
{{- range include "eventmesh.services" . | fromYamlArray -}}
{{- $service := include "eventmesh.service" (dict "root" $ "key" .key) | fromYaml -}}
{{- include "eventmesh.checks.service" (merge (dict "root" $ "service" $service) .) -}}
{{- end -}}
{{- end }}

{{- define "eventmesh.checks.service" -}}
{{- $config := include "eventmesh.config" . | fromYaml -}}
{{- $needed := add (include "eventmesh.seconds" $config.drain.deadline | int) (int .service.preStopSeconds) -}}
{{- if le (int .service.terminationGracePeriodSeconds) (int $needed) -}}
{{- fail (printf "%s.terminationGracePeriodSeconds is %d and must be more than the %d s of drainDeadline and preStopSeconds" .key (int .service.terminationGracePeriodSeconds) (int $needed)) -}}
{{- end -}}
{{- $replicas := .service.replicas -}}
{{- if and (eq .key "emesher") .service.hpa.enabled -}}
{{- $replicas = .service.hpa.minReplicas -}}
{{- if gt (int .service.hpa.minReplicas) (int .service.hpa.maxReplicas) -}}
{{- fail "emesher.hpa.minReplicas is above emesher.hpa.maxReplicas" -}}
{{- end -}}
{{- end -}}
{{- if and .service.pdb.enabled (not (kindIs "invalid" .service.pdb.minAvailable)) -}}
{{- if not (kindIs "string" .service.pdb.minAvailable) -}}
{{- if ge (int .service.pdb.minAvailable) (int $replicas) -}}
{{- fail (printf "%s.pdb.minAvailable is %d of %d replicas and would block every drain of a node; make it smaller or use maxUnavailable" .key (int .service.pdb.minAvailable) (int $replicas)) -}}
{{- end -}}
{{- else if eq .service.pdb.minAvailable "100%" -}}
{{- fail (printf "%s.pdb.minAvailable of 100%% would block every drain of a node" .key) -}}
{{- end -}}
{{- end -}}
{{- if and (not .service.serviceAccount.create) (not .service.serviceAccount.name) -}}
{{- fail (printf "%s.serviceAccount.name is needed when %s.serviceAccount.create is false" .key .key) -}}
{{- end -}}
{{- if and .root.Values.tls.enabled (not .root.Values.tls.existingSecret) (not .root.Values.tls.issuerRef.name) (not .service.tls.existingSecret) -}}
{{- fail (printf "tls.enabled needs tls.existingSecret, tls.issuerRef.name or %s.tls.existingSecret" .key) -}}
{{- end -}}
{{- end }}

{{- define "eventmesh.checks.tls" -}}
{{- if and .Values.tls.enabled .Values.tls.issuerRef.name (not .Values.tls.existingSecret) -}}
{{- if not (.Capabilities.APIVersions.Has "cert-manager.io/v1") -}}
{{- fail "tls.issuerRef needs cert-manager (API cert-manager.io/v1) in the cluster; for `helm template` add --api-versions cert-manager.io/v1" -}}
{{- end -}}
{{- end -}}
{{- range $name := list "etcd" "nats" -}}
{{- $backend := index $.Values $name -}}
{{- if and $backend.tls.enabled (not $backend.tls.existingSecret) -}}
{{- fail (printf "%s.tls.enabled needs %s.tls.existingSecret, a Secret with ca.crt, tls.crt and tls.key" $name $name) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "eventmesh.checks.links" -}}
{{- $sites := list -}}
{{- $tokens := list -}}
{{- range $i, $link := .Values.links -}}
{{- if eq $link.site (include "eventmesh.site" $) -}}
{{- fail (printf "links[%d].site is this site's own name, %s" $i $link.site) -}}
{{- end -}}
{{- $sites = append $sites $link.site -}}
{{- $tokens = append $tokens ($link.tokenSecret | toJson) -}}
{{- end -}}
{{- if ne (len $sites) (len (uniq $sites)) -}}
{{- fail "links names a site twice" -}}
{{- end -}}
{{- if gt (len (uniq $tokens)) 1 -}}
{{- fail "links[].tokenSecret must be the same for every link: a site has one link token" -}}
{{- end -}}
{{- end }}

{{- define "eventmesh.checks.network" -}}
{{- if .Values.networkPolicy.enabled -}}
{{- $external := .Values.networkPolicy.external -}}
{{- $rule := "networkPolicy.external.%s is needed, the NetworkPolicy peers of %s: without it the default deny cuts it off" -}}
{{- if and (not .Values.etcd.bundled) (not $external.etcd) -}}{{- fail (printf $rule "etcd" "etcd.endpoints") -}}{{- end -}}
{{- if and (not .Values.nats.bundled) (not $external.nats) -}}{{- fail (printf $rule "nats" "nats.servers") -}}{{- end -}}
{{- if and .Values.tracing.otlpUrl (not $external.otlp) -}}{{- fail (printf $rule "otlp" "tracing.otlpUrl") -}}{{- end -}}
{{- if and .Values.links (not $external.links) -}}{{- fail (printf $rule "links" "the linked sites") -}}{{- end -}}
{{- if and (or .Values.metrics.serviceMonitor.enabled .Values.metrics.podAnnotations) (not .Values.networkPolicy.monitoring) -}}
{{- fail "networkPolicy.monitoring is needed, the NetworkPolicy peers of Prometheus: without it the default deny refuses every scrape" -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "eventmesh.checks.monitors" -}}
{{- if or .Values.metrics.serviceMonitor.enabled .Values.metrics.prometheusRule.enabled -}}
{{- if not (.Capabilities.APIVersions.Has "monitoring.coreos.com/v1") -}}
{{- fail "metrics.serviceMonitor and metrics.prometheusRule need the Prometheus operator (API monitoring.coreos.com/v1); for `helm template` add --api-versions monitoring.coreos.com/v1" -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/*
A StatefulSet refuses changes of what is compared here in the middle of an upgrade; said before
anything is applied instead. `lookup` finds nothing under `helm template`, which upgrades nothing.
*/}}
{{- define "eventmesh.checks.bundled" -}}
{{- $strict := dig "durability" "strict" true (default dict .Values.storeGateway.config) -}}
{{- if and (not .Values.nats.bundled) (not .Values.nats.monitorUrls) $strict -}}
{{- fail "nats.monitorUrls are needed: a client cannot see whether the servers sync to disk, and store-gateway refuses durable events on a store it cannot verify (or set storeGateway.config.durability.strict to false)" -}}
{{- end -}}
{{- range $component := list "etcd" "nats" -}}
{{- $backend := index $.Values $component -}}
{{- if $backend.bundled -}}
{{- if not (has (int $backend.replicas) (list 1 3 5)) -}}
{{- fail (printf "%s.replicas is %d; a quorum needs 1, 3 or 5" $component (int $backend.replicas)) -}}
{{- end -}}
{{- if and $backend.persistence.existingClaim (ne (int $backend.replicas) 1) -}}
{{- fail (printf "%s.persistence.existingClaim is one volume and %s.replicas is %d; use one replica or no existing claim" $component $component (int $backend.replicas)) -}}
{{- end -}}
{{- $name := include "eventmesh.name" (dict "root" $ "component" $component) -}}
{{- $live := lookup "apps/v1" "StatefulSet" $.Release.Namespace $name -}}
{{- if $live -}}
{{- $old := include "eventmesh.claim.summary" (default list (get $live.spec "volumeClaimTemplates")) -}}
{{- $new := include "eventmesh.claim.summary" (include "eventmesh.claim" $backend | fromYamlArray) -}}
{{- if ne $old $new -}}
{{- fail (printf "%s.persistence cannot change while the StatefulSet %s exists (now: %s; asked: %s). Keep the old values, or resize the claims by hand, delete the StatefulSet with --cascade=orphan and upgrade again: docs/operating/kubernetes.md tells how" $component $name $old $new) -}}
{{- end -}}
{{- if and (eq $component "etcd") (ne (int $live.spec.replicas) (int $backend.replicas)) -}}
{{- fail (printf "etcd.replicas cannot change from %d to %d by an upgrade: members of a running etcd are added and removed one at a time with etcdctl" (int $live.spec.replicas) (int $backend.replicas)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "eventmesh.claim.summary" -}}
{{- range . -}}
{{- include "eventmesh.mebibytes" .spec.resources.requests.storage }}Mi {{ .spec.accessModes | join "," }} class {{ default "default" (get .spec "storageClassName") }}
{{- end -}}
{{- if not . }}no claim of its own{{ end -}}
{{- end }}

{{/* The API server rewrites 1024Mi as 1Gi, so sizes are compared in one unit. */}}
{{- define "eventmesh.mebibytes" -}}
{{- $count := regexFind "^[0-9]+" . | int -}}
{{- mul $count (get (dict "Mi" 1 "Gi" 1024 "Ti" 1048576 "Pi" 1073741824) (regexFind "[A-Za-z]+$" .)) -}}
{{- end }}
