// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package usdt

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf/btf"
)

// The maps that libbpf's <bpf/usdt.bpf.h> declares: SpecMap, an array, holds for each kind of site
// where its arguments are; IPMap holds for each instruction's address the index into SpecMap, for kernels
// without cookies (before 5.15). On others, the probe's cookie is the
// index.
const (
	SpecMap = "__bpf_usdt_specs"
	IPMap   = "__bpf_usdt_ip_to_spec_id"
)

// Layout is the layout of an element of SpecMap. It is taken from the program's own types, because the
// header is a part of the program: libbpf 1.7 has put more members into former gaps.
//
//	struct __bpf_usdt_spec {
//		struct __bpf_usdt_arg_spec args[12];
//		__u64 usdt_cookie; // for the program's author; gizmo does not use it
//		short arg_cnt;
//	};
//	struct __bpf_usdt_arg_spec {
//		__u64 val_off;                     // Value
//		enum __bpf_usdt_arg_type arg_type; // Kind; a bit field of 8 bits, since libbpf 1.7
//		__u16 idx_reg_off, scale_bitshift; // Index, Shift; bit fields, since libbpf 1.7
//		short reg_off;                     // Reg
//		bool arg_signed;
//		char arg_bitshift;                 // 64 less the argument's bits
//	};
type Layout struct {
	size     uint32
	args     uint32 // where the arguments begin, in bytes
	argSize  uint32
	maxArgs  uint32
	count    field
	value    field
	kind     field
	reg      field
	signed   field
	bitshift field
	index    field // absent in older headers
	shift    field
}

// field is a member's place, in bits.
type field struct{ off, size uint32 }

const (
	maxSpecSize = 1 << 16
	wordBits    = 64
)

// LayoutOf reads the type of SpecMap's elements.
func LayoutOf(t btf.Type) (*Layout, error) {
	l, err := layoutOf(t)
	if err != nil {
		return nil, fmt.Errorf("map %s is not that of <bpf/usdt.bpf.h>: %w", SpecMap, err)
	}
	return l, nil
}

func layoutOf(t btf.Type) (*Layout, error) {
	spec, ok := btf.As[*btf.Struct](t)
	if !ok || spec.Size > maxSpecSize {
		return nil, errors.New("its elements are no struct, or their type is not known")
	}
	args, err := memberOf(spec, "args")
	if err != nil {
		return nil, err
	}
	array, ok := btf.As[*btf.Array](args.Type)
	if !ok {
		return nil, errors.New("args is no array")
	}
	arg, ok := btf.As[*btf.Struct](array.Type)
	if !ok || uint64(args.Offset.Bytes())+uint64(arg.Size)*uint64(array.Nelems) > uint64(spec.Size) {
		return nil, errors.New("args is no array of structs")
	}
	l := &Layout{size: spec.Size, args: args.Offset.Bytes(), argSize: arg.Size, maxArgs: array.Nelems}
	errs := []error{l.count.find(spec, "arg_cnt")}
	for name, f := range map[string]*field{
		"val_off": &l.value, "arg_type": &l.kind, "reg_off": &l.reg, "arg_signed": &l.signed, "arg_bitshift": &l.bitshift,
	} {
		errs = append(errs, f.find(arg, name))
	}
	if l.index.find(arg, "idx_reg_off") != nil || l.shift.find(arg, "scale_bitshift") != nil {
		l.index, l.shift = field{}, field{}
	}
	return l, errors.Join(errs...)
}

func memberOf(s *btf.Struct, name string) (*btf.Member, error) {
	for i := range s.Members {
		if s.Members[i].Name == name {
			return &s.Members[i], nil
		}
	}
	return nil, fmt.Errorf("struct %s has no member %s", s.Name, name)
}

func (f *field) find(s *btf.Struct, name string) error {
	m, err := memberOf(s, name)
	if err != nil {
		return err
	}
	f.off, f.size = uint32(m.Offset), uint32(m.BitfieldSize)
	if f.size == 0 {
		n, err := btf.Sizeof(m.Type)
		if err != nil {
			return err
		}
		f.size = uint32(min(max(0, n), 1<<16)) * 8
	}
	if f.size == 0 || f.size > wordBits || uint64(f.off)+uint64(f.size) > uint64(s.Size)*8 {
		return fmt.Errorf("member %s of struct %s is out of place", name, s.Name)
	}
	return nil
}

// Encode returns the element of SpecMap for arguments, and for each that a program cannot have the
// reason.
func (l *Layout) Encode(args *Args) (spec []byte, missing []error) {
	spec = make([]byte, l.size)
	l.count.put(spec, uint64(args.Count))
	had := min(len(args.First), int(l.maxArgs))
	for i := range had {
		a := args.First[i]
		if a.Kind == Indexed && l.index.size == 0 {
			a = Arg{Kind: Unreadable, Size: a.Size, Why: fmt.Errorf("argument %d is in an array (BASE,INDEX,SCALE), "+
				"which only the <bpf/usdt.bpf.h> of libbpf 1.7 and newer can find", i+1)}
		}
		if a.Why != nil {
			missing = append(missing, a.Why)
		}
		l.putArg(spec[l.args+uint32(i)*l.argSize:][:l.argSize], &a)
	}
	if args.Count > had {
		missing = append(missing, fmt.Errorf("it has %d arguments, and the program's <bpf/usdt.bpf.h> takes %d", args.Count, had))
	}
	return spec, missing
}

// putArg describes one argument.
func (l *Layout) putArg(b []byte, a *Arg) {
	l.value.put(b, uint64(a.Value))
	l.kind.put(b, uint64(a.Kind))
	l.reg.put(b, uint64(a.Reg))
	l.bitshift.put(b, uint64(wordBits-8*int(a.Size)))
	if a.Signed {
		l.signed.put(b, 1)
	}
	if a.Kind == Indexed {
		l.index.put(b, uint64(a.Index))
		l.shift.put(b, uint64(a.Shift))
	}
}

// put writes the low bits of v, of which other fields may share the bytes.
func (f field) put(b []byte, v uint64) {
	for i := range f.size {
		if v&(1<<i) != 0 {
			bit := f.off + i
			b[bit/8] |= 1 << (bit % 8)
		}
	}
}
