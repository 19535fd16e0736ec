// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package packets runs the programs of gadgets that look at packets on packets made by hand: those that no machine
// sends, and those that are cut anywhere.
package packets

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/ringbuf"

	"github.com/gizmo-ebpf/gizmo/catalog"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/run"
	"github.com/gizmo-ebpf/gizmo/semtype"
)

// program is a gadget's program in the kernel, attached to nothing, with its data source.
type program struct {
	prog   *ebpf.Program
	ring   *ringbuf.Reader
	schema *event.Schema
	fields []event.Reader
}

// Both ways in which the kernel hands out packets: with the Ethernet header in front, or behind it, as from an interface that
// has none.
var kinds = map[string]ebpf.ProgramType{"with Ethernet header": ebpf.SchedCLS, "without": ebpf.SocketFilter}

// load loads a built-in gadget's program. A row's text has these fields.
func load(t testing.TB, gadget string, kind ebpf.ProgramType, params map[string]string, fields ...string) *program {
	t.Helper()
	kerneltest.RequireRoot(t)
	img, err := catalog.Builtin(gadget)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := img.Spec(values(t, img, params), nil)
	if err != nil {
		t.Fatal(err)
	}
	spec.Programs[gadget].Type = kind
	spec.Maps["gadget_sockets"].MaxEntries = 1 // no socket has an owner here
	coll, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{
		Programs: ebpf.ProgramOptions{ExtraRelocationTargets: []*btf.Spec{owners(t, spec)}},
	})
	var rejected *ebpf.VerifierError
	if errors.As(err, &rejected) {
		t.Fatalf("%+v", rejected)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(coll.Close)
	p := &program{prog: coll.Programs[gadget], schema: img.DataSources[0].Schema.Clone()}
	if p.ring, err = ringbuf.NewReader(coll.Maps["events"]); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.ring.Close() })
	env := &semtype.Env{Arch: runtime.GOARCH}
	if err := run.Compose(p.schema, img.DataSources[0].Annotations, env, nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range fields {
		r, err := p.schema.ReaderOf(name)
		if err != nil {
			t.Fatal(err)
		}
		p.fields = append(p.fields, r)
	}
	return p
}

// owners describes the values of the map of sockets as the object itself does.
func owners(t testing.TB, spec *ebpf.CollectionSpec) *btf.Spec {
	t.Helper()
	var value *btf.Struct
	if err := spec.Types.TypeByName("gadget_socket_value", &value); err != nil {
		t.Fatal(err)
	}
	builder, err := btf.NewBuilder([]btf.Type{value}, nil)
	if err != nil {
		t.Fatal(err)
	}
	types, err := builder.Spec()
	if err != nil {
		t.Fatal(err)
	}
	return types
}

func values(t testing.TB, img *image.Image, params map[string]string) map[string]image.Value {
	t.Helper()
	all := make(map[string]image.Value)
	for i := range img.Params {
		if text, ok := params[img.Params[i].Key]; ok {
			v, err := img.Params[i].Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			all[img.Params[i].Var] = v
		}
	}
	return all
}

// pass runs the program on a packet and returns the rows that come of it, each in a line.
func (p *program) pass(t testing.TB, packet []byte) string {
	t.Helper()
	const shortest = 60 // that the kernel lets pass in a test
	if short := shortest - len(packet); short > 0 {
		packet = append(packet[:len(packet):len(packet)], make([]byte, short)...)
	}
	ctx := make([]byte, 192)
	binary.LittleEndian.PutUint32(ctx[48:], 4711) // cb[0]
	if _, err := p.prog.Run(&ebpf.RunOptions{Data: packet, Context: ctx}); err != nil {
		t.Fatal(err)
	}
	p.ring.SetDeadline(time.Now())
	var rows []string
	for {
		rec, err := p.ring.Read()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return strings.Join(rows, "\n")
		}
		if err != nil {
			t.Fatal(err)
		}
		b := &event.Batch{Schema: p.schema, Rows: [][]byte{rec.RawSample}}
		var texts []string
		for i := range p.fields {
			texts = append(texts, p.fields[i].String(b, 0))
		}
		rows = append(rows, strings.Join(texts, " "))
	}
}

// layers make a packet, from the outside to the inside.
type layers []string

func (l layers) packet() []byte {
	whole := []byte(strings.Join(l, ""))
	return whole
}

func u16(n int) string { return string(binary.BigEndian.AppendUint16(nil, uint16(n))) }

const (
	macs = "\x00\x00\x00\x00\x00\x00\x02\x02\x02\x02\x02\x02" // the first is the loopback interface's
	ip4  = 0x0800
	ip6  = 0x86dd
	vlan = 0x8100
	tcp  = 6
	udp  = 17
)

func ethernet(kind int) string { return macs + u16(kind) }

func zeros(n int) string { return strings.Repeat("\x00", n) }

// ipv4 is a header with the given length of the packet, field about fragments, and words of options.
func ipv4(proto, length, fragment, options int) string {
	return string([]byte{0x45 + byte(options), 0}) + u16(length) + "\x00\x00" + u16(fragment) + "\x40" + string([]byte{byte(proto)}) + "\x00\x00" +
		"\x0a\x00\x00\x01" + "\x0a\x00\x00\x02" + zeros(4*options)
}

func ipv6(next, length int) string {
	return "\x60\x00\x00\x00" + u16(length) + string([]byte{byte(next)}) + "\x40" + "\xfd" + zeros(14) + "\x01" + "\xfd" + zeros(14) + "\x02"
}

func udpHeader(from, to, length int) string { return u16(from) + u16(to) + u16(length) + "\x00\x00" }

func tcpHeader(from, to int, seq uint32, options int) string {
	return u16(from) + u16(to) + string(binary.BigEndian.AppendUint32(nil, seq)) + zeros(4) + string([]byte{byte(5+options) << 4, 0x18}) + zeros(6) + zeros(4*options)
}

func fill(s string, n int) string { return s + zeros(max(0, n-len(s))) }

// each runs a test for both kinds of programs.
func each(t *testing.T, do func(t *testing.T, kind ebpf.ProgramType)) {
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) { do(t, kind) })
	}
}

func wantRows(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\ngot  %s\nwant %s", what, fmt.Sprintf("%q", got), fmt.Sprintf("%q", want))
	}
}
