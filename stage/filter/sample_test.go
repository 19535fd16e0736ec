// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package filter_test

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/clock"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/semtype"
)

// layout puts a schema together member by member.
type layout struct{ s event.Schema }

func (l *layout) add(name string, kind event.Kind, size uint32, types ...string) *event.Field {
	f := event.Field{Name: name, Kind: kind, Off: l.s.Size, Size: size, Types: types, Parent: event.NoParent}
	if dot := strings.LastIndexByte(name, '.'); dot > 0 {
		if i, ok := l.s.Lookup(name[:dot]); ok {
			f.Parent = i
		}
	}
	l.s.Size += size
	l.s.Fields = append(l.s.Fields, f)
	return &l.s.Fields[len(l.s.Fields)-1]
}

// users names the users of the sample.
type users struct{}

func (users) Append(dst []byte, id uint32) []byte {
	if id == 0 {
		return append(dst, "root"...)
	}
	return dst
}

// found has the values of the handles of the sample's column: nothing, web-1 and db.
type found struct {
	texts []string
	bits  []uint64
}

func (f found) Bytes(h event.Handle) []byte { return []byte(f.texts[h]) }
func (f found) Bits(h event.Handle) uint64  { return f.bits[h] }

// sample is a schema with a field of every shape, as a gadget, the enriched types and a stage in
// front of the filter make it.
func sample(t testing.TB) *event.Schema {
	t.Helper()
	s := sampleRecord()
	env := semtype.Env{Arch: "amd64", Clock: clock.New(1_700_000_000_000_000_000), Users: users{}}
	if err := semtype.Apply(s, semtype.Types(), &env, &annotation.Spec{}); err != nil {
		t.Fatal(err)
	}
	s.AddColumn(
		event.Field{Name: "runtime.containerName", Kind: event.String, Parent: event.NoParent, Table: found{texts: []string{"", "web-1", "db"}}},
		event.Field{Name: "runtime.containerPid", Kind: event.Uint, Parent: event.NoParent, Table: found{bits: []uint64{0, 401, 402}}},
		event.Field{Name: "k8s.hostnetwork", Kind: event.Bool, Parent: event.NoParent, Table: found{bits: []uint64{0, 1, 0}}},
		event.Field{Name: "load", Kind: event.Float, Parent: event.NoParent, Table: found{bits: []uint64{0, math.Float64bits(0.25), math.Float64bits(-3)}}})
	return s
}

// containerOf returns the column of the sample.
func containerOf(s *event.Schema) event.Column { return s.Columns()[0] }

func sampleRecord() *event.Schema {
	l := &layout{event.Schema{Name: "open", Single: true}}
	l.add("timestamp_raw", event.Uint, 8, "gadget_timestamp")
	l.add("proc", event.Struct, 0, "gadget_process")
	l.add("proc.comm", event.String, 16, "gadget_comm")
	l.add("proc.pid", event.Uint, 4, "gadget_pid")
	l.add("proc.creds", event.Struct, 0, "gadget_creds")
	l.add("proc.creds.uid", event.Uint, 4, "gadget_uid")
	l.add("error_raw", event.Uint, 4, "gadget_errno")
	l.add("flags_raw", event.Uint, 4, "gadget_file_flags")
	l.add("fname", event.String, 64)
	l.add("truncated", event.Bool, 1)
	l.add("offset", event.Int, 8)
	l.add("size", event.Uint, 8)
	l.add("delta", event.Int, 2)
	l.add("odd", event.Uint, 3)
	bit := l.add("level", event.Int, 1)
	bit.BitOff, bit.BitSize = 2, 3
	l.add("ratio", event.Float, 4)
	l.add("mean", event.Float, 8)
	l.add("hash", event.Bytes, 4)
	l.add("wide", event.Int, 16)
	l.add("args", event.Uint, 8).Count = 4
	l.add("dst", event.Struct, 0, "gadget_l4endpoint_t")
	l.add("dst.addr_raw", event.Bytes, 16)
	l.add("dst.port", event.Uint, 2)
	l.add("dst.proto_raw", event.Uint, 2)
	l.add("dst.version", event.Uint, 1)
	l.add("in", event.Uint, 1) // a word of the language of expressions
	l.add("count", event.Uint, 1)
	l.add("__pad", event.Uint, 1)
	length := l.add("length", event.Uint, 2)
	rest := event.Field{Name: "payload", Kind: event.Bytes, Rest: true, LenOff: length.Off, LenSize: 2, Off: l.s.Size, Parent: event.NoParent}
	l.s.Fields = append(l.s.Fields, rest)
	return &l.s
}

// values are an event of the sample, by field.
type values map[string]any

// sampleRows are events that differ in all of their fields, by the name of a column that tests
// speak of them by.
var sampleRows = []struct {
	name      string
	container event.Handle
	values    values
	payload   string
}{
	{name: "cat", container: 1, payload: "\x01\xffgone", values: values{
		"timestamp_raw": 5, "proc.comm": "cat", "proc.pid": 12, "proc.creds.uid": 0, "error_raw": 2, "flags_raw": 0o101,
		"fname": "/etc/passwd", "truncated": 1, "offset": -1, "size": uint64(math.MaxUint64), "delta": -300, "odd": 0x10203,
		"level": 0b100 << 2, "ratio": float32(0.1), "mean": math.Inf(1), "hash": "\xde\xad\xbe\xef", "wide": -2,
		"dst.addr_raw": "\x0a\x01\x02\x03", "dst.port": 80, "dst.proto_raw": 6, "dst.version": 4, "in": 1, "count": 7, "length": 2,
	}},
	{name: "bash", container: 2, payload: "", values: values{
		"timestamp_raw": 1_000_000_000, "proc.comm": "bash", "proc.pid": 4_000_000_000, "proc.creds.uid": 1000, "fname": "a,b\\c d",
		"offset": math.MinInt64, "size": uint64(math.MaxInt64), "delta": 300, "odd": 0xffffff, "level": 0b011 << 2,
		"ratio": float32(-2.5), "mean": 1e300, "hash": "\x00\x00\x00\x01", "wide": 7,
		"dst.addr_raw": "\xfd\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01", "dst.port": 443, "dst.proto_raw": 17,
		"dst.version": 6, "count": 200,
	}},
	{name: "full", container: 0, payload: "xyz", values: values{
		"proc.comm": "sixteen-bytes-ok", "proc.pid": 0, "error_raw": 13, "fname": "\xff\xfe", "mean": math.NaN(), "length": 60000,
		"timestamp_raw": 0, "flags_raw": 2, "proc.creds.uid": 5, "size": 0,
	}},
}

// sampleBatch returns the rows of the sample.
func sampleBatch(s *event.Schema) *event.Batch {
	b := &event.Batch{Schema: s}
	for _, r := range sampleRows {
		rec := make([]byte, s.Size)
		for name, v := range r.values {
			put(s, rec, name, v)
		}
		b.Rows = append(b.Rows, append(rec, r.payload...))
	}
	for i, handles := 0, containerOf(s).Fill(b); i < len(handles); i++ {
		handles[i] = sampleRows[i].container
	}
	return b
}

// put writes a value into the field of that name.
func put(s *event.Schema, rec []byte, name string, v any) {
	i, ok := s.Lookup(name)
	if !ok {
		panic("no field " + name)
	}
	p := rec[s.Fields[i].Off:][:s.Fields[i].Size]
	switch v := v.(type) {
	case string:
		copy(p, v)
	case int:
		for k := range p {
			p[k] = byte(v >> min(8*k, 63))
		}
	case uint64:
		binary.LittleEndian.PutUint64(p, v)
	case float32:
		binary.LittleEndian.PutUint32(p, math.Float32bits(v))
	case float64:
		binary.LittleEndian.PutUint64(p, math.Float64bits(v))
	}
}
