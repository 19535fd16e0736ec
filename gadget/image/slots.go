// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"regexp"
	"strings"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
)

// slotAnnotations returns the annotations of the histograms that programs count in with log2l; nil if there are none. Objects that were built with headers from before
// get_slot_idx do so: their slots begin at powers of two, where those of get_slot_idx end. An object does not say which it is, but the debug
// information of its instructions has the lines of source.
func (img *Image) slotAnnotations(s *event.Schema) *annotation.Spec {
	var spec *annotation.Spec
	for i := range s.Fields {
		f := &s.Fields[i]
		if f.Count == 0 || !f.HasType("gadget_histogram_slot__u32") && !f.HasType("gadget_histogram_slot__u64") {
			continue
		}
		if spec == nil {
			if !img.countsByLog2() {
				return nil
			}
			spec = &annotation.Spec{Fields: make(map[string]annotation.Set)}
		}
		spec.Fields[f.Name] = annotation.Set{annotation.SlotsKey: annotation.Log2Slots}
	}
	return spec
}

// log2Call matches a line of source that calls log2 or log2l, and slotOfLog2 one that makes of the result what get_slot_idx returns.
var (
	log2Call   = regexp.MustCompile(`\blog2l?\(`)
	slotOfLog2 = regexp.MustCompile(`\blog2l?\(.*\) *\+ *1\b`)
)

// countsByLog2 reports whether programs call log2l and do not call get_slot_idx.
func (img *Image) countsByLog2() bool {
	found := false
	for _, p := range img.spec.Programs {
		for i := range p.Instructions {
			source := p.Instructions[i].Source()
			if source == nil {
				continue
			}
			line := source.String()
			if strings.Contains(line, "get_slot_idx(") || slotOfLog2.MatchString(line) {
				return false
			}
			found = found || log2Call.MatchString(line)
		}
	}
	return found
}
