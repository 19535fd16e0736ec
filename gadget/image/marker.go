// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// separator separates the parts of a marker's name.
const separator = "___"

type markerKind uint8

const (
	markTracer markerKind = iota
	markBuffer
	markMapIter
	markIter
	markParam
	markIterTarget
	markSockTarget
	markPrefer
	markLoadIf
	markTryIf
)

// markerSyntax is the form of the names of one kind of marker.
type markerSyntax struct {
	prefix   string
	kind     markerKind
	min, max int // number of parts
}

// parts says how many parts the name must have.
func (s *markerSyntax) parts() string {
	if s.min == s.max {
		return strconv.Itoa(s.min)
	}
	return fmt.Sprintf("%d to %d", s.min, s.max)
}

func markerSyntaxes() []markerSyntax {
	return []markerSyntax{
		{"gadget_tracer_", markTracer, 3, 3},
		{"gadget_map_tracer_", markBuffer, 1, 1},
		{"gadget_mapiter_", markMapIter, 2, 2},
		{"gadget_iter_", markIter, 3, 5},
		{"gadget_snapshotter_", markIter, 3, 5}, // older objects
		{"gadget_param_", markParam, 1, 1},
		{"gadget_mapelem_iter_target_", markIterTarget, 2, 2},
		{"gadget_sk_prog_target_", markSockTarget, 2, 2},
		{"gadget_prefer_", markPrefer, 2, 2},
		{"gadget_load_if_", markLoadIf, 2, 2},
		{"gadget_try_if_", markTryIf, 2, 2},
	}
}

// marker is a global whose name declares a part of the gadget.
type marker struct {
	variable string
	kind     markerKind
	parts    []string
}

// findMarkers returns the markers among the object's globals, in the order of its BTF.
func findMarkers(types *btf.Spec) ([]marker, error) {
	syntaxes := markerSyntaxes()
	var found []marker
	for t, err := range types.All() {
		if err != nil {
			return nil, fmt.Errorf("read BTF: %w", err)
		}
		v, ok := t.(*btf.Var)
		if !ok {
			continue
		}
		m, ok, err := parseMarker(v.Name, syntaxes)
		if err != nil {
			return nil, err
		}
		if ok {
			found = append(found, m)
		}
	}
	return found, nil
}

func parseMarker(name string, syntaxes []markerSyntax) (marker, bool, error) {
	for _, s := range syntaxes {
		rest, ok := strings.CutPrefix(name, s.prefix)
		if !ok {
			continue
		}
		parts := strings.Split(rest, separator)
		if len(parts) < s.min || len(parts) > s.max {
			return marker{}, false, fmt.Errorf("marker %s: %d parts after %q, want %s", name, len(parts), s.prefix, s.parts())
		}
		for _, p := range parts {
			if p == "" {
				return marker{}, false, fmt.Errorf("marker %s: a part of the name is empty", name)
			}
		}
		return marker{name, s.kind, parts}, true, nil
	}
	return marker{}, false, nil
}
