// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package archtest

// Gizmo returns the rules of this repository. A package that is not listed has the floor of the
// nearest package above it, and is a part of that.
func Gizmo() *Rules {
	return &Rules{
		Module: "github.com/gizmo-ebpf/gizmo",
		Floors: map[string]int{
			// Beside the house: these may import anything, and nothing imports them.
			"test":           6,
			"bench":          6,
			"gadgets":        6, // their workloads
			"include/gadget": 6, // tests of the C headers

			"cmd/gizmo": 5,

			"internal/cli":     4,
			"internal/builtin": 4,

			"gadget":    3,
			"oci":       3,
			"container": 3,
			"build":     3,

			"encode":    2,
			"stage":     2,
			"wire":      2,
			"btfschema": 2,
			"metadata":  2,

			"semtype":    1,
			"pipeline":   1,
			"annotation": 1,

			"event":               0,
			"include":             0,
			"internal/nearest":    0,
			"internal/kerneltest": 0,
			"internal/archtest":   0,
			"internal/cpus":       0,
			"internal/digits":     0,
			"internal/int80":      0,
			"internal/memory":     0,

			"gadgets/internal/workload": 0, // for the workloads of all gadgets
		},
		Families:     []string{"stage", "gadgets"},
		StandardOnly: []string{"event", "include", "internal/nearest", "internal/archtest", "internal/cpus", "internal/digits"},
		Sideways: map[string]string{
			"internal/cli": "internal/builtin", // the command line uses the wiring
		},
	}
}

// TooLarge returns the packages that are still larger than packages should be.
func TooLarge() []string {
	return []string{"gadget"}
}
