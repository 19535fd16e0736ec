// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/gizmo-ebpf/gizmo/btfschema"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/internal/nearest"
)

// Param is a constant of the gadget that the user may set before it is loaded: a "const volatile"
// global that GADGET_PARAM names.
type Param struct {
	// Var is the C variable.
	Var string
	// Key is the name that users know, and that of the flag: Var unless the metadata says otherwise.
	Key         string
	Description string
	// Default is the initial value in the form that Parse takes; empty when not setting it has a
	// meaning of its own (a filter that is off).
	Default string
	// OneOf lists the only values allowed; empty for any.
	OneOf []string
	// Mandatory params must be given a value.
	Mandatory bool

	packets bool           // it is an expression for a packet filter, and has no variable
	field   event.Field    // the variable's type
	address *addressLayout // of a param that is an IP address, whose field is a struct
	// initial replaces the variable's initial value, if the metadata has another default.
	initial Value
	// off is the value with which a filter lets all events pass; nil for params that are no filters.
	off Value
}

// Value is the value of a param: the bytes of its variable.
type Value []byte

// wellKnownParam is a param that a header of gizmo declares, so no author describes it.
type wellKnownParam struct {
	key, description string
	// filter: the variable's initial value means that the filter is off.
	filter bool
}

// wellKnownParams lists the params of <gadget/filter.h> and <gadget/user_stack_map.h> by their variables.
func wellKnownParams() map[string]wellKnownParam {
	return map[string]wellKnownParam{
		"targ_pid":  {"pid", "Only events of this process id", true},
		"targ_tid":  {"tid", "Only events of this thread id", true},
		"targ_uid":  {"uid", "Only events of this user id", true},
		"targ_gid":  {"gid", "Only events of this group id", true},
		"targ_comm": {"comm", "Only events of processes with this name (the first 15 bytes count)", true},

		"collect_ustack":          {"collect-ustack", "Collect the stacks of processes", false},
		"collect_build_id":        {"collect-build-id", "With stacks, collect which file each address lies in", false},
		"collect_otel_stack":      {"collect-otel-stack", "For an outer profiler, which gizmo is not: no effect", false},
		"ig_build_id_max_entries": {"ig_build_id_max_entries", "Number of stacks whose files there is room for", false},
	}
}

// newParam describes the variable of a GADGET_PARAM marker.
func newParam(spec *ebpf.CollectionSpec, variable string) (Param, error) {
	v, ok := spec.Variables[variable]
	if !ok {
		return Param{}, fmt.Errorf("the object has no global %q%s", variable, nearest.Hint(variable, slices.Sorted(maps.Keys(spec.Variables))))
	}
	if v.Type == nil || !v.Constant() {
		return Param{}, fmt.Errorf("%q is not a \"const volatile\" global", variable)
	}
	p := Param{Var: variable, Key: variable}
	if err := p.setType(v.Type.Type, v.Size()); err != nil {
		return Param{}, err
	}
	if name, ok := p.sizedMap(); ok && spec.Maps[name] != nil && p.field.Kind != event.Uint && p.field.Kind != event.Int {
		return Param{}, fmt.Errorf("%q cannot be a param because of its type: it sets the size of the map %q and must be a number", variable, name)
	}
	known, ok := wellKnownParams()[variable]
	if ok {
		p.Key, p.Description = known.key, known.description
	}
	if known.filter {
		p.off = slices.Clone(v.Value)
	} else {
		p.Default = p.format(v.Value)
	}
	return p, nil
}

// setType fills in what follows from the variable's type.
func (p *Param) setType(t btf.Type, size uint32) error {
	if p.address = addressOf(t); p.address != nil {
		p.field = event.Field{Name: "value", Kind: event.Struct, Size: size}
		return nil
	}
	s, err := btfschema.New(p.Var, true, &btf.Struct{Size: size, Members: []btf.Member{{Name: "value", Type: t}}})
	if err != nil || len(s.Fields) != 1 {
		return fmt.Errorf("%q cannot be a param because of its type: %w", p.Var, errParamType)
	}
	p.field = s.Fields[0]
	if p.field.Count > 0 && !p.isList() || p.field.Kind == event.Bytes || p.field.Kind == event.Struct || p.field.ElemSize() > 8 && p.field.Kind != event.String {
		return fmt.Errorf("%q cannot be a param because of its type: %w", p.Var, errParamType)
	}
	return nil
}

// sizedMap returns the name of the map whose size the param sets, if the param has a name of that form.
func (p *Param) sizedMap() (string, bool) { return strings.CutSuffix(p.Var, "_max_entries") }

// sizeMap gives the map whose size the param gives that size; 0 leaves it alone.
func (p *Param) sizeMap(spec *ebpf.CollectionSpec, value Value) error {
	name, ok := p.sizedMap()
	m := spec.Maps[name]
	if !ok || m == nil {
		return nil
	}
	n := p.field.Uint(value)
	if n > math.MaxUint32 || p.field.Kind == event.Int && p.field.Int(value) < 0 {
		return fmt.Errorf("map %q cannot have %s entries", name, p.format(value))
	}
	if n > 0 {
		m.MaxEntries = uint32(n)
	}
	return nil
}

var errParamType = fmt.Errorf("it must be a number, a bool, an enum, a char array, an array of whole numbers or a struct gadget_l3endpoint_t")

// Type names the kind of value that the param takes, for help texts: "uint32", "string", "bool", "ip".
func (p *Param) Type() string {
	if p.address != nil {
		return "ip"
	}
	if p.isList() {
		elem := p.elem()
		return "list of " + elem.Type()
	}
	switch p.field.Kind {
	case event.Uint, event.Int, event.Float:
		if p.field.Enum != nil {
			return p.field.Enum.Name
		}
		return fmt.Sprintf("%s%d", p.field.Kind, p.field.Size*8)
	}
	return p.field.Kind.String()
}

// IsBool reports whether the param is a switch, whose flag needs no value.
func (p *Param) IsBool() bool { return p.field.Kind == event.Bool }

// Parse reads a value as users write it. Numbers may have the prefix 0x, 0o or 0b; enums take a
// name or a number. A value that would switch a filter of <gadget/filter.h> off is an error: it comes from an empty
// look-up in a script, and the user would get the events of all processes. Of the name of a process the first 15 bytes
// count, as in the kernel.
func (p *Param) Parse(text string) (Value, error) {
	v, err := p.parse(text)
	if err == nil && p.off != nil && bytes.Equal(v, p.off) {
		return nil, fmt.Errorf("param %q: %q would turn the filter off; leave the param out to get all events", p.Key, text)
	}
	return v, err
}

func (p *Param) parse(text string) (Value, error) {
	if len(p.OneOf) > 0 && !slices.Contains(p.OneOf, text) {
		return nil, fmt.Errorf("param %q: %q is none of %s", p.Key, text, strings.Join(p.OneOf, ", "))
	}
	if p.packets {
		return p.parsePackets(text)
	}
	buf := make([]byte, p.field.Size)
	if err := p.parseInto(buf, text); err != nil {
		return nil, fmt.Errorf("param %q: %w", p.Key, err)
	}
	return buf, nil
}

func (p *Param) parseInto(buf []byte, text string) error {
	if p.address != nil {
		return p.address.parse(buf, text)
	}
	if p.isList() {
		return p.parseList(buf, text)
	}
	if e := p.field.Enum; e != nil {
		return parseEnum(buf, e, text)
	}
	bits := len(buf) * 8
	switch p.field.Kind {
	case event.Bool:
		v, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		if v {
			buf[0] = 1
		}
	case event.Uint:
		v, err := parseBits(text, false, bits)
		if err != nil {
			return fmt.Errorf("%q is not a number from 0 to %d", text, uint64(math.MaxUint64)>>(64-bits))
		}
		putUint(buf, v)
	case event.Int:
		v, err := parseBits(text, true, bits)
		if err != nil {
			return fmt.Errorf("%q is not a number from %d to %d", text, int64(math.MinInt64)>>(64-bits), int64(math.MaxInt64)>>(64-bits))
		}
		putUint(buf, v)
	case event.Float:
		return parseFloat(buf, text)
	case event.String:
		if p.Var == "targ_comm" {
			text = text[:min(len(text), len(buf)-1)]
		}
		if len(text) >= len(buf) {
			return fmt.Errorf("%q has %d bytes; at most %d fit", text, len(text), len(buf)-1)
		}
		if strings.IndexByte(text, 0) >= 0 {
			return fmt.Errorf("%q holds a NUL byte", text)
		}
		copy(buf, text)
	}
	return nil
}

func parseEnum(buf []byte, e *event.Enum, text string) error {
	names := make([]string, len(e.Values))
	for i, v := range e.Values {
		names[i] = v.Name
		if v.Name == text {
			putUint(buf, v.Value)
			return nil
		}
	}
	v, err := parseBits(text, e.Signed, len(buf)*8)
	if err != nil {
		return fmt.Errorf("enum %s has no %q%s", e.Name, text, nearest.Hint(text, names))
	}
	putUint(buf, v)
	return nil
}

// parseBits reads a number that a C integer of so many bits can have.
func parseBits(text string, signed bool, bits int) (uint64, error) {
	if signed {
		v, err := strconv.ParseInt(text, 0, bits)
		return uint64(v), err
	}
	return strconv.ParseUint(text, 0, bits)
}

func parseFloat(buf []byte, text string) error {
	v, err := strconv.ParseFloat(text, len(buf)*8)
	if err != nil {
		return fmt.Errorf("%q is not a number of %d bits", text, len(buf)*8)
	}
	if len(buf) == 4 {
		putUint(buf, uint64(math.Float32bits(float32(v))))
	} else {
		putUint(buf, math.Float64bits(v))
	}
	return nil
}

// putUint stores the low bytes of v, little-endian.
func putUint(buf []byte, v uint64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], v)
	copy(buf, b[:])
}

// enumName names the value of an enum, if it has a name.
func enumName(f *event.Field, v Value) (string, bool) {
	bits := f.Uint(v)
	if f.Enum.Signed {
		bits = uint64(f.Int(v))
	}
	for _, e := range f.Enum.Values {
		if e.Value == bits {
			return e.Name, true
		}
	}
	return "", false
}

// format is the inverse of Parse.
func (p *Param) format(v Value) string {
	f := &p.field
	if len(v) < int(f.Size) {
		return ""
	}
	if p.address != nil {
		return p.address.format(v)
	}
	if p.isList() {
		return p.formatList(v)
	}
	u := f.Uint(v)
	if f.Enum != nil {
		if name, ok := enumName(f, v); ok {
			return name
		}
	}
	switch f.Kind {
	case event.Bool:
		return strconv.FormatBool(u != 0)
	case event.Int:
		return strconv.FormatInt(f.Int(v), 10)
	case event.String:
		return string(event.CString(v))
	case event.Float:
		if f.Size == 4 {
			return strconv.FormatFloat(float64(math.Float32frombits(uint32(u))), 'g', -1, 32)
		}
		return strconv.FormatFloat(math.Float64frombits(u), 'g', -1, 64)
	}
	return strconv.FormatUint(u, 10)
}
