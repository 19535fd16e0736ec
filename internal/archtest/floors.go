// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package archtest

// Gizmo returns the rules of this repository. A package that is not listed has the floor of the
// nearest package above it, and is a part of that.
func Gizmo() *Rules {
	return &Rules{
		Module:       "github.com/gizmo-ebpf/gizmo",
		Floors:       floors(),
		Families:     []string{"stage", "sink", "gadgets"},
		StandardOnly: []string{"event", "clock", "include", "internal/nearest", "internal/archtest", "internal/cpus", "internal/digits", "internal/plain", "internal/procstat"},
		Sideways:     sideways(),
		Forbidden:    forbidden(),
		Pure:         []string{"net/netip"},
	}
}

// floors gives each package its floor.
func floors() map[string]int {
	all := map[string]int{
		// Beside the house: these may import anything, and nothing imports them.
		"test":           6,
		"bench":          6,
		"gadgets":        6, // their workloads
		"include/gadget": 6, // tests of the C headers

		"cmd/gizmo": 5,

		"internal/cli": 4,

		"run":                     3,
		"catalog":                 3,
		"gadget":                  3,
		"socket":                  3,
		"gadget/internal/fixture": 3, // for its tests
		"oci":                     2,
		"build":                   3,

		"encode":           2,
		"stage":            2,
		"container/source": 2,
		"sink":             2,
		"wire":             2,
		"btfschema":        2,
		"metadata":         2,
		"builtin":          2,

		"host":       1,
		"semtype":    1,
		"pipeline":   1,
		"container":  1,
		"annotation": 1,
		"symbol":     1,

		"pipeline/pipelinetest": 1, // for the tests of all packages from here up

		"event":                     0,
		"clock":                     0,
		"include":                   0,
		"gadgets/internal/workload": 1, // for the workloads of all gadgets
		"gadgets/internal/calls":    2, // for those of gadgets that observe libraries
	}
	for _, name := range ground() {
		all["internal/"+name] = 0
	}
	return all
}

// ground lists the packages below internal/ on the lowest floor.
func ground() []string {
	return []string{
		"archtest", "bpfcode", "cpus", "dents", "digits", "dns", "elffile", "gofuncs", "grpcclient", "int80", "kerneltest", "memory", "nearest", "outlet",
		"pcapexpr",
		"plain", "privileges", "procstat", "safefile", "seccomp", "socketvalue", "stdstreams", "uname",
	}
}

// TooLarge returns the packages that are still larger than the limit.
func TooLarge() []string {
	return nil
}

// forbidden lists the packages that others must not import.
func forbidden() map[string][]string {
	// The official modules of gRPC servers and of OpenTelemetry are for tests: they would add megabytes to gizmo.
	forTests := []string{"google.golang.org/grpc", "google.golang.org/protobuf/proto", "github.com/containerd", "k8s.io", "go.opentelemetry.io"}
	return map[string][]string{
		"cmd/gizmo":          forTests,
		"container/runtimes": forTests,
		"sink/metrics/otlp":  forTests,
		// Reading an image is pure: it neither asks the kernel nor opens files.
		"gadget/image": {
			"github.com/cilium/ebpf/features", "github.com/cilium/ebpf/link", "github.com/cilium/ebpf/perf",
			"github.com/cilium/ebpf/ringbuf", "github.com/cilium/ebpf/rlimit",
			"golang.org/x/sys/unix", "syscall", "os", "net", "log/slog",
			"gadget", "build", "internal/cpus", "internal/int80", "internal/kerneltest",
		},
		// The parts of package gadget know no more than they need.
		"gadget/internal/kernel":  {"gadget/image", "gadget/internal"},
		"gadget/internal/choose":  {"gadget/internal"},
		"gadget/internal/prepare": {"gadget/image", "gadget/internal/hook", "gadget/internal/source"},
		"gadget/internal/source":  {"gadget/internal/choose", "gadget/internal/hook", "gadget/internal/prepare"},
		"gadget/internal/stacks":  {"gadget/image", "gadget/internal/choose", "gadget/internal/hook", "gadget/internal/prepare", "gadget/internal/source"},
		"gadget/internal/hook":    {"gadget/internal/choose", "gadget/internal/prepare", "gadget/internal/source"},
	}
}

// sideways lists the allowed imports on one floor.
func sideways() map[string][]string {
	return map[string][]string{
		"catalog":                 {"gadget", "build"},  // finds images, and has folders compiled
		"run":                     {"gadget", "socket"}, // loads images
		"socket":                  {"gadget"},           // loads its programs as one
		"pipeline/pipelinetest":   {"pipeline"},         // the suites run what it defines
		"gadget/internal/fixture": {"build"},            // compiles the gadgets of tests
		"internal/gofuncs":        {"internal/elffile"}, // a table in such a file
		"internal/grpcclient":     {"internal/plain"},   // shows what servers say
		"internal/pcapexpr":       {"internal/nearest"}, // suggests words
	}
}
