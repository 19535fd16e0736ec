// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metrics

import "testing"

func TestPrometheusName(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, unit string
		kind       Kind
		want       string
	}{
		{"retries", "", Counter, "retries_total"},
		{"reqs_total", "", Counter, "reqs_total"},
		{"sent_total", "By", Counter, "sent_bytes_total"},
		{"sent_bytes_total", "By", Counter, "sent_bytes_total"},
		{"lat2", "us", Histogram, "lat2_microseconds"},
		{"latency", "µs", Histogram, "latency"},
		{"wait", "ms", Gauge, "wait_milliseconds"},
		{"load", "1", Gauge, "load_ratio"},
		{"load", "1", Counter, "load_total"},
		{"runtime_raw", "", Counter, "runtime_raw_total"},
		{"mapCount", "", Gauge, "mapCount"},
		{"1st.value é", "", Gauge, "_1st_value__"},
		{"", "", Gauge, "_"},
	} {
		if got := (&Instrument{Name: tt.name, Unit: tt.unit, Kind: tt.kind}).PrometheusName(); got != tt.want {
			t.Errorf("%q in %q: got %s, want %s", tt.name, tt.unit, got, tt.want)
		}
	}
}

// Names that Prometheus keeps for itself get a prefix.
func TestPrometheusLabel(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"proc.comm": "proc_comm", "le": "exported_le", "quantile": "exported_quantile", "__name__": "exported___name__",
		"otel.scope.name": "exported_otel_scope_name", "k8s.podName": "k8s_podName",
	} {
		if got := PrometheusLabel(name); got != want {
			t.Errorf("%q: got %s, want %s", name, got, want)
		}
	}
}
