{{/* What Equipoise is made of has fixed names: there is one in a cluster. */}}

{{- define "equipoise.labels" -}}
app.kubernetes.io/name: equipoise
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "equipoise.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end -}}
{{- end }}

{{/* Of the cluster's version, v1.30.2-gke.1587003 or v1.30.2+k3s1, only v1.30.2 is a tag. */}}
{{- define "equipoise.kubeSchedulerImage" -}}
{{- with .Values.kubeScheduler.image -}}
{{ .repository }}:{{ .tag | default (regexFind "^v[0-9]+[.][0-9]+[.][0-9]+" $.Capabilities.KubeVersion.Version) }}
{{- end -}}
{{- end }}

{{- define "equipoise.schedulerUser" -}}
system:serviceaccount:{{ .Release.Namespace }}:equipoise-scheduler
{{- end }}

{{- define "equipoise.agentUser" -}}
system:serviceaccount:{{ .Values.agent.namespace }}:equipoise-agent
{{- end }}

{{/* Nothing is asked or refused in these. */}}
{{- define "equipoise.systemNamespaces" -}}
[{{ append .Values.systemNamespaces .Release.Namespace | uniq | join ", " }}]
{{- end }}

{{/* The same in CEL. The API server reads a selector anew for every request, which takes it longer than this. */}}
{{- define "equipoise.inSystemNamespace" -}}
request.namespace in ['{{ append .Values.systemNamespaces .Release.Namespace | uniq | join "', '" }}']
{{- end }}

{{/* A list in CEL. */}}
{{- define "equipoise.schedulerNames" -}}
['{{ prepend .Values.webhook.takeOver "equipoise" | uniq | join "', '" }}']
{{- end }}

{{/* Mocked GPUs need no runtime. */}}
{{- define "equipoise.runtimeClassName" -}}
{{- if not .Values.agent.mock.enabled }}{{ .Values.runtimeClassName }}{{ end }}
{{- end }}

{{/* Passes Pod Security "restricted". */}}
{{- define "equipoise.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "equipoise.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "equipoise.pullSecrets" -}}
{{- with .Values.image.pullSecrets -}}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* How Prometheus finds a pod where there is no Prometheus Operator. Takes the port. */}}
{{- define "equipoise.scrape" -}}
prometheus.io/scrape: "true"
prometheus.io/port: {{ . | quote }}
prometheus.io/path: /metrics
{{- end }}

{{/* The file of `equipoise serve`: what follows from the other objects, and the values' settings. */}}
{{- define "equipoise.serveSettings" -}}
{{- $ours := dict
  "web" (dict "host" .Values.bindAddress "port" 8800)
  "kube" (dict "namespace" .Release.Namespace)
  "leadership" (dict "url" "https://127.0.0.1:10259")
  "webhook" (dict "host" .Values.bindAddress "port" 8443) }}
{{- with .Values.webhook.takeOver }}{{ $_ := set $ours.webhook "take_over" . }}{{ end }}
{{- with include "equipoise.runtimeClassName" . }}{{ $_ := set $ours.webhook "runtime_class" . }}{{ end }}
{{- if .Values.webhook.certManager.enabled }}{{ $_ := set $ours.webhook "certificates" "/etc/equipoise/tls" }}{{ end }}
{{- $theirs := omit .Values.settings "agent" -}}
{{ mergeOverwrite (deepCopy $theirs) $ours | toYaml }}
{{- end }}

{{- define "equipoise.agentSettings" -}}
{{- $ours := dict "agent" (dict "host" .Values.bindAddress "port" 8802) -}}
{{ mergeOverwrite (deepCopy (pick .Values.settings "agent" "kube")) $ours | toYaml }}
{{- end }}

{{- define "equipoise.startupProbe" -}}
httpGet:
  path: /healthz
  port: 8800
periodSeconds: 1
timeoutSeconds: 2
failureThreshold: 90
{{- end }}

{{- define "equipoise.livenessProbe" -}}
httpGet:
  path: /healthz
  port: 8800
periodSeconds: 2
timeoutSeconds: 2
failureThreshold: 3
{{- end }}

{{- define "equipoise.nodeName" -}}
- name: NODE_NAME
  valueFrom:
    fieldRef:
      fieldPath: spec.nodeName
{{- end }}

{{/* Where Equipoise's own pods may run, but for the agents. */}}
{{- define "equipoise.placement" -}}
{{- $parts := dict }}
{{- with .Values.nodeSelector }}{{ $_ := set $parts "nodeSelector" . }}{{ end }}
{{- with .Values.tolerations }}{{ $_ := set $parts "tolerations" . }}{{ end }}
{{- with $parts }}{{ toYaml . }}{{ end }}
{{- end }}
