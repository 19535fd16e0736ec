// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package percpu merges the values that a per-CPU map holds for the same key.
package percpu

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"strings"

	"github.com/gizmo-ebpf/gizmo/event"
)

// Plan says how values are merged. It is bound to the fields of one data source.
type Plan struct {
	size, stride int
	steps        []step
	zero         []byte
}

// step puts together the bytes [off, end) of a value: n elements of size bytes.
type step struct {
	rule     rule
	off, end uint32
	size     uint32
}

// rule is how two values of a field are merged.
type rule uint8

const (
	// first takes that of the lowest CPU that has any: names, ids, addresses, which are the same on all
	// CPUs that have set them.
	first rule = iota
	// sum adds them: counts and amounts.
	sum
	// sumFloat adds floating-point numbers.
	sumFloat
	// union takes all bits that are set: flags.
	union
	// latest takes the greatest: moments.
	latest
)

// New makes a plan for the values of a map, whose fields are those of s that begin at offset off or later. In
// the values of Merge, each CPU's value begins stride bytes after the one before.
func New(s *event.Schema, off uint32, stride int) *Plan {
	p := &Plan{size: int(s.Size - off), stride: stride}
	p.zero = make([]byte, p.size)
	for i := range s.Fields {
		f := &s.Fields[i]
		if f.Off < off || f.Added || f.Rest || isPart(s, f) || f.Kind == event.Struct && !isWhole(f) {
			continue
		}
		p.steps = append(p.steps, step{ruleOf(f), f.Off - off, f.Off - off + f.Size, f.ElemSize()})
	}
	p.steps = joinOverlapping(p.steps)
	return p
}

// isWhole reports whether a struct is a single value, such as an address with its port.
func isWhole(f *event.Field) bool { return f.Kind == event.Struct && hasMeaning(f) }

// isPart reports whether the field is a member of such a struct.
func isPart(s *event.Schema, f *event.Field) bool {
	for f.Parent != event.NoParent {
		if f = &s.Fields[f.Parent]; isWhole(f) {
			return true
		}
	}
	return false
}

// meaning begins the names of the types of <gadget/types.h>.
const meaning = "gadget_"

func hasMeaning(f *event.Field) bool {
	return slices.ContainsFunc(f.Types, func(t string) bool { return strings.HasPrefix(t, meaning) })
}

// isAmount reports whether a type of <gadget/types.h> is for numbers that can be added up.
func isAmount(typeName string) bool {
	name, ok := strings.CutPrefix(typeName, meaning)
	if !ok {
		return false
	}
	kind, _, _ := strings.Cut(name, "__")
	return slices.Contains([]string{"counter", "gauge", "histogram_slot", "bytes", "duration"}, kind)
}

func ruleOf(f *event.Field) rule {
	switch {
	case f.Kind == event.Bool, f.BitSize > 0, f.Enum != nil && f.Enum.IsSet():
		return union
	case f.Kind == event.Float:
		return sumFloat
	case f.Kind != event.Uint && f.Kind != event.Int, f.Enum != nil, f.ElemSize() > 8:
		return first
	case f.HasType("gadget_timestamp"):
		return latest
	case slices.ContainsFunc(f.Types, isAmount):
		return sum
	case hasMeaning(f), len(f.Types) == 0: // a pointer has no name
		return first
	}
	return sum
}

// joinOverlapping joins the steps for the members of a union into one, because the types do not say which
// member is valid.
func joinOverlapping(steps []step) []step {
	slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.off, b.off) })
	joined := steps[:0]
	for _, s := range steps {
		if len(joined) == 0 || joined[len(joined)-1].end <= s.off {
			joined = append(joined, s)
			continue
		}
		last := &joined[len(joined)-1]
		if last.rule != union || s.rule != union { // bit fields that share a byte stay apart
			last.rule = first
		}
		last.end = max(last.end, s.end)
	}
	return joined
}

// Merge writes the merged value of all CPUs to dst. A CPU whose value is zero has
// never had the entry.
func (p *Plan) Merge(dst, values []byte) {
	copy(dst, values[:p.size])
	for at := p.stride; at+p.size <= len(values); at += p.stride {
		value := values[at : at+p.size]
		if bytes.Equal(value, p.zero) {
			continue
		}
		for i := range p.steps {
			p.steps[i].merge(dst, value, p.zero)
		}
	}
}

func (s *step) merge(dst, value, zero []byte) {
	dst, value = dst[s.off:s.end], value[s.off:s.end]
	switch {
	case s.rule == sum && s.size == 8: // most fields
		for ; len(dst) >= 8 && len(value) >= 8; dst, value = dst[8:], value[8:] {
			binary.LittleEndian.PutUint64(dst, binary.LittleEndian.Uint64(dst)+binary.LittleEndian.Uint64(value))
		}
	case s.rule == first:
		if bytes.Equal(dst, zero[:len(dst)]) {
			copy(dst, value)
		}
	case s.rule == union:
		for i := range dst {
			dst[i] |= value[i]
		}
	default:
		for i := uint32(0); i+s.size <= uint32(len(dst)); i += s.size {
			s.mergeNumber(dst[i:i+s.size], value[i:i+s.size])
		}
	}
}

func (s *step) mergeNumber(dst, value []byte) {
	a, b := event.LoadUint(dst, s.size), event.LoadUint(value, s.size)
	switch {
	case s.rule == latest:
		a = max(a, b)
	case s.rule == sum:
		a += b
	case s.size == 4:
		a = uint64(math.Float32bits(math.Float32frombits(uint32(a)) + math.Float32frombits(uint32(b))))
	default:
		a = math.Float64bits(math.Float64frombits(a) + math.Float64frombits(b))
	}
	store(dst, a)
}

// store writes the lowest bytes of v.
func store(dst []byte, v uint64) {
	for i := range dst {
		dst[i] = byte(v >> (8 * i))
	}
}
