// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"slices"
	"strings"

	"github.com/gizmo-ebpf/gizmo/sink/metrics"
)

// nameOf returns the name of a metric as OpenTelemetry's exporters for Prometheus make it: with the unit as a word, and "_total" behind a
// counter, unless it is there.
func nameOf(in *metrics.Instrument) string {
	name := valid(in.Name)
	if unit := unitOf(in); unit != "" && !slices.Contains(strings.Split(name, "_"), unit) {
		name = strings.TrimSuffix(name, "_total") + "_" + unit
	}
	if in.Kind == metrics.Counter {
		name = strings.TrimSuffix(name, "_total") + "_total"
	}
	return name
}

// unitOf returns the word for a unit. What has none, such as the microseconds of "µs", of which those exporters have made three different names
// so far, is left out: a wrong unit would be worse.
func unitOf(in *metrics.Instrument) string {
	words := map[string]string{
		"By": "bytes", "bytes": "bytes", "KiBy": "kibibytes", "MiBy": "mebibytes", "GiBy": "gibibytes",
		"ns": "nanoseconds", "us": "microseconds", "ms": "milliseconds", "s": "seconds", "min": "minutes", "h": "hours", "d": "days",
		"Cel": "celsius", "Hz": "hertz", "%": "percent", "V": "volts", "A": "amperes", "W": "watts", "J": "joules",
	}
	if in.Unit == "1" && in.Kind == metrics.Gauge {
		return "ratio"
	}
	return words[in.Unit]
}

// valid replaces what Prometheus does not allow in names.
func valid(name string) string {
	isLetter := func(r rune) bool { return r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }
	name = strings.Map(func(r rune) rune {
		if isLetter(r) || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, name)
	if name == "" || !isLetter(rune(name[0])) {
		name = "_" + name
	}
	return name
}
