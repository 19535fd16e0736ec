// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode_test

import (
	"encoding/binary"
	"strings"
	"time"

	"github.com/gizmo-ebpf/gizmo/event"
)

// builder puts a schema together member by member, as a C compiler would.
type builder struct{ s event.Schema }

func newBuilder(name string, single bool) *builder {
	return &builder{event.Schema{Name: name, Single: single}}
}

// field adds a member of the record and returns it for more to be said of it.
func (b *builder) field(name string, kind event.Kind, size, count uint32) *event.Field {
	total := size * max(count, 1)
	if align := min(size, 8); kind != event.String && kind != event.Bytes && align > 0 {
		b.s.Size = (b.s.Size + align - 1) / align * align
	}
	b.s.Fields = append(b.s.Fields, event.Field{
		Name: name, Kind: kind, Off: b.s.Size, Size: total, Count: count, Parent: b.parent(name),
	})
	b.s.Size += total
	return &b.s.Fields[len(b.s.Fields)-1]
}

// node adds a struct.
func (b *builder) node(name string) *event.Field {
	b.s.Fields = append(b.s.Fields, event.Field{Name: name, Kind: event.Struct, Off: b.s.Size, Parent: b.parent(name)})
	return &b.s.Fields[len(b.s.Fields)-1]
}

// added adds a field with a text.
func (b *builder) added(name string, kind event.Kind, text event.TextFunc) *event.Field {
	i := b.s.Add(event.Field{Name: name, Kind: kind, Parent: b.parent(name), Text: text})
	return &b.s.Fields[i]
}

func (b *builder) parent(name string) int {
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return event.NoParent
	}
	if i, ok := b.s.Lookup(name[:dot]); ok {
		return i
	}
	return event.NoParent
}

// traceOpen is the schema of the gadget that reports opened files, with what enriched types add.
func traceOpen() *event.Schema {
	b := newBuilder("open", true)
	b.field("timestamp_raw", event.Uint, 8, 0).Ann.Columns = event.ColumnStyle{Hidden: true}
	b.node("proc").Ann.Columns.Hidden = true
	b.field("proc.comm", event.String, 16, 0).Ann.Columns = event.ColumnStyle{MaxWidth: 16, Header: "comm"}
	pid := event.ColumnStyle{MinWidth: 7, Align: event.AlignRight, Header: "pid"}
	tid := event.ColumnStyle{MinWidth: 7, Align: event.AlignRight, Header: "tid"}
	b.field("proc.pid", event.Uint, 4, 0).Ann.Columns = pid
	b.field("proc.tid", event.Uint, 4, 0).Ann.Columns = tid
	b.field("proc.mntns_id", event.Uint, 8, 0).Ann.Columns = event.ColumnStyle{Hidden: true, Width: 12, Align: event.AlignRight}
	b.node("proc.creds").Ann.Columns.Hidden = true
	b.field("proc.creds.uid", event.Uint, 4, 0).Ann.Columns = event.ColumnStyle{MinWidth: 8, Align: event.AlignRight, Header: "uid"}
	b.field("proc.creds.gid", event.Uint, 4, 0).Ann.Columns = event.ColumnStyle{MinWidth: 8, Align: event.AlignRight, Header: "gid"}
	b.node("proc.parent").Ann.Columns.Hidden = true
	b.field("proc.parent.comm", event.String, 16, 0).Ann.Columns = event.ColumnStyle{Hidden: true, Header: "pcomm"}
	b.field("proc.parent.pid", event.Uint, 4, 0).Ann.Columns = event.ColumnStyle{Hidden: true, Header: "ppid"}
	b.field("proc.parent.tid", event.Uint, 4, 0).Ann.Columns = event.ColumnStyle{Hidden: true, Header: "ptid"}
	b.field("error_raw", event.Uint, 4, 0).Ann.Columns.Hidden = true
	b.field("fd", event.Uint, 4, 0)
	b.field("flags_raw", event.Uint, 4, 0).Ann.Columns.Hidden = true
	b.field("mode_raw", event.Uint, 4, 0).Ann.Columns.Hidden = true
	b.field("fname_truncated", event.Bool, 1, 0).Ann.Columns.Hidden = true
	b.field("__padding", event.Uint, 1, 7)
	b.field("fname", event.String, 512, 0).Ann.Columns = event.ColumnStyle{Width: 32, MinWidth: 24}
	addTraceOpenTexts(b)
	return &b.s
}

func addTraceOpenTexts(b *builder) {
	u32 := func(name string) func(*event.Batch, int) uint32 {
		i, _ := b.s.Lookup(name)
		off := b.s.Fields[i].Off
		return func(b *event.Batch, row int) uint32 { return binary.LittleEndian.Uint32(b.Rows[row][off:]) }
	}
	ts, _ := b.s.Lookup("timestamp_raw")
	b.added("timestamp", event.String, clockText(b.s.Fields[ts].Off)).Ann.Columns = event.ColumnStyle{Hidden: true, Width: 35, MaxWidth: 35}
	errno, flags, mode := u32("error_raw"), u32("flags_raw"), u32("mode_raw")
	b.added("error", event.String, func(dst []byte, b *event.Batch, row int) []byte {
		return append(dst, [...]string{"", "EPERM", "ENOENT"}[errno(b, row)%3]...)
	}).Ann.Columns.Width = 12
	b.added("flags", event.String, func(dst []byte, b *event.Batch, row int) []byte {
		v := flags(b, row)
		dst = append(dst, [...]string{"O_RDONLY", "O_WRONLY", "O_RDWR", "3"}[v&3]...)
		for i, name := range [...]string{"O_CREAT", "O_EXCL", "O_NOCTTY", "O_TRUNC"} {
			if v>>(6+i)&1 != 0 {
				dst = append(append(dst, '|'), name...)
			}
		}
		return dst
	})
	b.added("mode", event.String, func(dst []byte, b *event.Batch, row int) []byte {
		v := mode(b, row)
		dst = append(dst, '-')
		for i := 8; i >= 0; i-- {
			c := byte('-')
			if v>>i&1 != 0 {
				c = "xwr"[i%3]
			}
			dst = append(dst, c)
		}
		return dst
	})
	b.added("runtime.containerName", event.String, func(dst []byte, _ *event.Batch, _ int) []byte {
		return append(dst, "web-1"...)
	}).Ann.Columns.Width = 30
}

// clockText shows nanoseconds since 1970 as a time. The part up to the seconds is kept.
func clockText(off uint32) event.TextFunc {
	var last int64 = -1
	var text []byte
	return func(dst []byte, b *event.Batch, row int) []byte {
		v := int64(binary.LittleEndian.Uint64(b.Rows[row][off:]))
		if v/1e9 != last {
			last = v / 1e9
			text = time.Unix(last, 0).UTC().AppendFormat(text[:0], "2006-01-02T15:04:05.000000000Z")
		}
		n := uint32(v % 1e9)
		for i := 28; i >= 20; i-- {
			text[i] = byte('0' + n%10)
			n /= 10
		}
		return append(dst, text...)
	}
}

// put writes a value into the record's field of that name.
func put(s *event.Schema, rec []byte, name string, v any) {
	i, ok := s.Lookup(name)
	if !ok {
		panic("no field " + name)
	}
	f := &s.Fields[i]
	switch v := v.(type) {
	case string:
		copy(rec[f.Off:f.Off+f.Size], v)
	case int:
		for k := range min(f.ElemSize(), 8) {
			rec[f.Off+k] = byte(uint64(v) >> (8 * k))
		}
	}
}

// traceOpenBatch returns n records that differ in their numbers and names.
func traceOpenBatch(s *event.Schema, n int) *event.Batch {
	b := &event.Batch{Schema: s}
	names := []string{"/etc/ld.so.cache", "/lib/x86_64-linux-gnu/libc.so.6", "/proc/self/status",
		"/usr/share/locale/en_US.UTF-8/LC_MESSAGES/coreutils.mo", "data.json"}
	comms := []string{"cat", "bash", "kworker/u4:2", "a-name-of-15-ch"}
	for i := range n {
		rec := make([]byte, s.Size)
		put(s, rec, "timestamp_raw", 1721943247136974948+i*34567)
		put(s, rec, "proc.comm", comms[i%4])
		put(s, rec, "proc.pid", 900+i*i*37)
		put(s, rec, "proc.tid", 900+i*i*37+i%3)
		put(s, rec, "proc.mntns_id", 4026531841+i%2*317)
		put(s, rec, "proc.creds.uid", i%3*500)
		put(s, rec, "proc.creds.gid", i%3*500)
		put(s, rec, "proc.parent.comm", comms[(i+1)%4])
		put(s, rec, "proc.parent.pid", 1+i%2*855)
		put(s, rec, "proc.parent.tid", 1+i%2*855)
		put(s, rec, "error_raw", i%3)
		put(s, rec, "fd", i%12)
		put(s, rec, "flags_raw", i%2*01101)
		put(s, rec, "mode_raw", i%2*0644)
		put(s, rec, "fname", names[i%5])
		b.Rows = append(b.Rows, rec)
	}
	return b
}
