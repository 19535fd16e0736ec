// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

const nested = `
hook-mode: auto
operator:
  other: [1, 2]
  otel-metrics:
    exporters:
      Main:
        exporter: otlp-grpc
        endpoint: collector.example:4317
        insecure: true
        temporality: delta
        interval: 30s
        collectGoMetrics: true
        collectIGMetrics: true
      web:
        Exporter: otlp-http
        Endpoint: https://collector.example/otlp
        CA: ca.pem
        cert: /etc/cert.pem
        key: key.pem
        serverName: other.example
        headers: {Authorization: Bearer x, x-scope: "7"}
        compression: gzip
        timeout: 3s
        resource: {service.instance.id: a, Team.Name: b}
`

// the same with dots, in parts, and with other capitals.
const dotted = `
operator.otel-metrics.exporters.main.exporter: otlp-grpc
Operator.OTEL-metrics.exporters:
  MAIN.endpoint: collector.example:4317
  main: {Insecure: TRUE, temporality: delta, collectgometrics: true}
operator.otel-metrics:
  exporters.main: {interval: 30s, collectigmetrics: "true"}
  exporters.web:
    &more exporter: otlp-http
    endpoint: https://collector.example/otlp
    ca: ca.pem
    cert: /etc/cert.pem
    key: &key key.pem
    servername: other.example
    headers.authorization: Bearer x
    headers: {X-Scope: 7}
    compression: gzip
    timeout: 3s
    resource.service.instance.id: a
operator:
  otel-metrics.exporters.web.resource:
    Team.Name: b
`

func readFile(t *testing.T, text string) (map[string]Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := ReadConfig(path)
	for name, c := range all {
		for _, file := range []*string{&c.CA, &c.Cert, &c.Key} {
			*file = strings.TrimPrefix(*file, filepath.Dir(path)+"/")
		}
		all[name] = c
	}
	return all, err
}

func TestReadConfig(t *testing.T) {
	t.Parallel()
	want := map[string]Config{
		"main": {
			Name: "main", Exporter: GRPC, Endpoint: "collector.example:4317", Insecure: true, Temporality: Delta, Interval: 30 * time.Second,
			GoMetrics: true, OwnMetrics: true,
		},
		"web": {
			Name: "web", Exporter: HTTP, Endpoint: "https://collector.example/otlp", CA: "ca.pem", Cert: "/etc/cert.pem", Key: "key.pem",
			ServerName: "other.example", Headers: map[string]string{"authorization": "Bearer x", "x-scope": "7"}, Gzip: true, Timeout: 3 * time.Second,
			Resource: map[string]string{"service.instance.id": "a", "Team.Name": "b"},
		},
	}
	for what, text := range map[string]string{"nested": nested, "dotted": dotted} {
		got, err := readFile(t, text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got\n%+v\nwant\n%+v\n%v", what, got, want, err)
		}
	}
	for _, empty := range []string{"", "a: b", "operator: {otel-metrics: {exporters: }}", "operator.otel-metrics:", "# nothing"} {
		if got, err := readFile(t, empty); err != nil || len(got) != 0 {
			t.Errorf("%q: %v, %v", empty, got, err)
		}
	}
	if _, err := ReadConfig(filepath.Join(t.TempDir(), "none")); !os.IsNotExist(err) {
		t.Errorf("no file: %v", err)
	}
}

// What a file must not have is an error that names the exporter and the line.
func TestMistakesInAFile(t *testing.T) {
	t.Parallel()
	const head = "operator.otel-metrics.exporters:\n  a:\n    exporter: otlp-grpc\n    endpoint: h:1\n    "
	for text, want := range map[string]string{
		head + "tempo: delta":                                         `:5: exporter "a": unknown key "tempo"`,
		head + "temporalty: delta":                                    `:5: exporter "a": unknown key "temporalty"; did you mean "temporality"?`,
		head + "temporality: Delta":                                   `:5: exporter "a": temporality "Delta": want cumulative or delta`,
		head + "interval: 30":                                         `:5: exporter "a": interval "30": want a time such as 30s`,
		head + "interval: -1s":                                        `:5: exporter "a": interval "-1s": want a time such as 30s`,
		head + "interval: 1ms":                                        `:5: exporter "a": interval 1ms: want at least 100ms`,
		head + "insecure: yes":                                        `:5: exporter "a": insecure "yes": want true or false`,
		head + "insecure: ":                                           `:5: exporter "a": insecure: want a value`,
		head + "insecure: [true]":                                     `:5: exporter "a": insecure: want a value`,
		head + "compression: zip":                                     `:5: exporter "a": compression "zip": want gzip or none`,
		head + "ENDPOINT: h:2":                                        `:5: exporter "a": endpoint is in line 4 already`,
		head + "headers: {a: b, A: c}":                                `:5: exporter "a": headers.a is in line 5 already`,
		head + "headers: {Host: x}":                                   `:5: exporter "a": header "host": gizmo sets it`,
		head + "headers: {\"a b\": x}":                                `:5: exporter "a": header "a b": no name that a header may have`,
		head + "headers: {a: \"x\\ny\"}":                              `:5: exporter "a": header "a": a value with characters that a header must not have`,
		head + "headers: {trace-bin: x}":                              `:5: exporter "a": header "trace-bin": names of gRPC's own and binary headers cannot be set`,
		head + "headers: x":                                           `:5: a: headers: want keys and values`,
		head + "endpoint.x: 1":                                        `:5: exporter "a": unknown key "endpoint.x"`,
		head + "cert: x":                                              `:5: exporter "a": cert without key`,
		head + "key: x":                                               `:5: exporter "a": key without cert`,
		head + "insecure: true\n    ca: x":                            `:6: exporter "a": ca has no use: the connection is not encrypted`,
		head + "<<: {insecure: true}":                                 `:5: exporter "a": unknown key "<<"`,
		"operator.otel-metrics.exporters.a.insecure: true":            `:1: exporter "a": there is no exporter: want otlp-grpc or otlp-http`,
		"operator.otel-metrics.exporters: {A: {exporter: otlp-http}}": `:1: exporter "a": there is no endpoint`,
		"operator.otel-metrics.exporters: {a: {exporter: otlp}}":      `:1: exporter "a": exporter "otlp": want otlp-grpc or otlp-http`,
		"operator.otel-metrics.exporters: {a: }":                      `:1: exporter "a": there is no exporter: want otlp-grpc or otlp-http`,
		"operator.otel-metrics.exporters: [a]":                        `:1: operator.otel-metrics.exporters: want keys and values`,
		"operator.otel-metrics.exporters: {\"\": {}}":                 `:1: an exporter without a name`,
		"operator:\n  otel-metrics:\n    exporter: {}":                `:3: unknown key "operator.otel-metrics.exporter"; gizmo knows operator.otel-metrics.exporters`,
		"operator: &a {operator: *a, otel-metrics: *a}":               `:1: unknown key "operator.otel-metrics.operator"; gizmo knows operator.otel-metrics.exporters`,
		"a: b\n---\nc: d":                                             `: want one document of YAML`,
		"a: [":                                                        `: yaml: line 1: did not find expected node content`,
	} {
		if _, err := readFile(t, text); err == nil || !strings.Contains(err.Error(), "config.yaml"+want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func TestEndpoints(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		exporter, endpoint string
		insecure           bool
		want               string // the URL, or the error
	}{
		{HTTP, "h:4318", false, "https://h:4318/v1/metrics"},
		{HTTP, "h:4318", true, "http://h:4318/v1/metrics"},
		{HTTP, "[::1]:4318", true, "http://[::1]:4318/v1/metrics"},
		{HTTP, "http://h", false, "http://h:80/v1/metrics"},
		{HTTP, "http://h/", true, "http://h:80/v1/metrics"},
		{HTTP, "https://h:1/a/b", false, "https://h:1/a/b"},
		{HTTP, "https://[::1]", false, "https://[::1]:443/v1/metrics"},
		{GRPC, "https://h:4317", false, "https://h:4317/v1/metrics"},
		{GRPC, "http://h:4317/", false, "http://h:4317/v1/metrics"},
		{GRPC, "http://h:4317/x", false, `endpoint "http://h:4317/x": gRPC has no path`},
		{HTTP, "https://h", true, `endpoint "https://h": https is encrypted, and insecure says that it is not`},
		{HTTP, "https://u:p@h", false, `endpoint "https://u:xxxxx@h": a URL with a user, a query or a fragment; credentials go into headers`},
		{HTTP, "h", false, `endpoint "h": want HOST:PORT`},
		{HTTP, ":4318", false, `endpoint ":4318": want HOST:PORT`},
		{HTTP, "h:0", false, `endpoint "h:0": want HOST:PORT`},
		{HTTP, "h:otlp", false, `endpoint "h:otlp": want HOST:PORT`},
		{HTTP, "h/v1:80", false, `endpoint "h/v1:80": want HOST:PORT`},
		{GRPC, "dns:///h:4317", false, `endpoint "dns:///h:4317": want HOST:PORT, http://HOST:PORT or https://HOST:PORT`},
		{GRPC, "", false, "there is no endpoint"},
	} {
		c := Config{Exporter: tt.exporter, Endpoint: tt.endpoint, Insecure: tt.insecure}
		to, problems := c.check()
		got := ""
		if len(problems) > 0 {
			got = problems[0].err.Error()
		} else {
			got = to.url()
		}
		if got != tt.want {
			t.Errorf("%s %q: got %s, want %s", tt.exporter, tt.endpoint, got, tt.want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	empty := filepath.Join(folder, "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		config Config
		want   string
	}{
		{Config{}, "there is no exporter: want otlp-grpc or otlp-http\nthere is no endpoint"},
		{Config{Exporter: GRPC, Endpoint: "h:1", CA: empty}, "ca: " + empty + " has no certificate in PEM"},
		{Config{Exporter: GRPC, Endpoint: "h:1", CA: folder}, "ca: " + folder + " is not a regular file"},
		{Config{Exporter: GRPC, Endpoint: "h:1", Cert: empty, Key: empty}, "cert " + empty + " and key " + empty + ": tls: failed to find any PEM data in certificate input"},
	} {
		tt.config.Name = "a"
		if _, err := New(tt.config, nil); err == nil || err.Error() != `exporter "a": `+tt.want {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
}

// Whatever a file has, it is read or refused, and what was read makes an exporter, apart from files that it names.
func FuzzReadConfig(f *testing.F) {
	f.Add([]byte(nested))
	f.Add([]byte(dotted))
	f.Add([]byte("operator: &a {operator: *a, otel-metrics.exporters: *a}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := parse("config.yaml", data)
		if (err == nil) != (all != nil) {
			t.Fatalf("%v, %v", all, err)
		}
		for name, c := range all {
			c.CA, c.Cert, c.Key = "", "", ""
			if c.Name != name {
				t.Errorf("exporter %q is called %q", name, c.Name)
			}
			e, err := New(c, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := e.sender.close(); err != nil {
				t.Error(err)
			}
			e.cancel()
		}
	})
}
