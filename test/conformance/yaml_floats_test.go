// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"math"
	"regexp"
	"strings"
	"testing"
)

// A float must be a number to readers of YAML 1.1, too, which want a point before an exponent (the
// type float of yaml.org: [-+]?([0-9][0-9_]*)?\.[0-9.]*([eE][-+][0-9]+)?), and a zero keeps its sign
// only as a float.
func TestYAMLFloatsAreFloatsToOldReaders(t *testing.T) {
	k := replay(t).compose(t, specOf(t, "all"), machine())
	values := []float64{1e21, 1e22, -1e21, 5e-324, 1e-7, 1.5e300, math.Copysign(0, -1)}
	k.rows = nil
	for _, v := range values {
		k.rows = append(k.rows, (&record{F64: v}).bytes(""))
	}
	o := noOptions
	o.Fields = k.choose(t, "f64")
	float := regexp.MustCompile(`^[-+]?([0-9][0-9_]*)?\.[0-9]*([eE][-+][0-9]+)?$`)
	for i, doc := range strings.Split(strings.TrimPrefix(k.encode(t, "yaml", o), "---\n"), "---\n") {
		if got := strings.TrimSuffix(strings.TrimPrefix(doc, "f64: "), "\n"); !float.MatchString(got) {
			t.Errorf("%v is written %q, which is no float in YAML 1.1", values[i], got)
		}
	}
}
