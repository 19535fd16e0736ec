// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/internal/pcapexpr"
)

// packetFilter begins the names of the functions that GADGET_PF declares.
const packetFilter = "gadget_pf_"

// addPacketFilters adds a param for each packet filter that a program calls. Its variable is the name of the function.
func (img *Image) addPacketFilters() {
	for _, function := range packetFilters(img.spec) {
		name := strings.TrimPrefix(function, packetFilter)
		p := Param{Var: function, Key: "pf", packets: true, field: event.Field{Name: "value", Kind: event.String}}
		p.Description = "Only packets that match this expression, as for tcpdump (\"tcp port 80 and host 10.0.0.1\")"
		if name != "" {
			p.Key = "pf-" + name
			p.Description = fmt.Sprintf("Expression, as for tcpdump, for the gadget's packet filter %q", name)
		}
		img.Params = append(img.Params, p)
	}
}

// packetFilters lists the functions for packet filters, sorted. Each program has its own copy of those that it calls.
func packetFilters(spec *ebpf.CollectionSpec) []string {
	var names []string
	for _, p := range spec.Programs {
		for i := range p.Instructions {
			ins := &p.Instructions[i]
			if name := ins.Symbol(); strings.HasPrefix(name, packetFilter) && btf.FuncMetadata(ins) != nil && spec.Programs[name] == nil {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// parsePackets checks an expression. The value is its text.
func (p *Param) parsePackets(text string) (Value, error) {
	if _, err := pcapexpr.Compile(text); err != nil {
		return nil, fmt.Errorf("param %q: %w", p.Key, err)
	}
	return Value(text), nil
}

// PacketFilters returns the expressions of the packet filters by the names of their functions: those of the caller, or the metadata's
// defaults. Filters that let everything pass are left out. The keys of params are the names of the variables.
func (img *Image) PacketFilters(params map[string]Value) map[string]string {
	expressions := make(map[string]string)
	for i := range img.Params {
		p := &img.Params[i]
		if !p.packets {
			continue
		}
		value, ok := params[p.Var]
		if !ok {
			value = p.initial
		}
		if text := strings.TrimSpace(string(value)); text != "" {
			expressions[p.Var] = text
		}
	}
	return expressions
}
