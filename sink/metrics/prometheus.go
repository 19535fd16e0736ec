// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"slices"
	"strings"
)

// PrometheusName returns the name of a metric as OpenTelemetry's exporters for Prometheus make it: with the unit as a word, and "_total" behind a
// counter, unless it is there.
func (in *Instrument) PrometheusName() string {
	name := validName(in.Name)
	if unit := in.unitWord(); unit != "" && !slices.Contains(strings.Split(name, "_"), unit) {
		name = strings.TrimSuffix(name, "_total") + "_" + unit
	}
	if in.Kind == Counter {
		name = strings.TrimSuffix(name, "_total") + "_total"
	}
	return name
}

// unitWord returns the word for the unit. What has none, such as the microseconds of "µs", of which those exporters have made three different names
// so far, is left out: a wrong unit would be worse.
func (in *Instrument) unitWord() string {
	words := map[string]string{
		"By": "bytes", "bytes": "bytes", "KiBy": "kibibytes", "MiBy": "mebibytes", "GiBy": "gibibytes",
		"ns": "nanoseconds", "us": "microseconds", "ms": "milliseconds", "s": "seconds", "min": "minutes", "h": "hours", "d": "days",
		"Cel": "celsius", "Hz": "hertz", "%": "percent", "V": "volts", "A": "amperes", "W": "watts", "J": "joules",
	}
	if in.Unit == "1" && in.Kind == Gauge {
		return "ratio"
	}
	return words[in.Unit]
}

// PrometheusLabel returns the name of a label. Prometheus, and what serves its text, have labels of their own, which a key field cannot have.
func PrometheusLabel(name string) string {
	name = validName(name)
	if name == "le" || name == "quantile" || strings.HasPrefix(name, "__") || strings.HasPrefix(name, "otel_scope_") {
		return "exported_" + name
	}
	return name
}

// validName replaces what Prometheus does not allow in names.
func validName(name string) string {
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
