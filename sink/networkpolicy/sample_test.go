// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package networkpolicy

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
)

// aPod is what the columns of containers say.
type aPod struct{ namespace, pod, labels, owner, container string }

// row is a row of a data source.
type row struct {
	aPod
	peer    string
	port    uint16
	proto   uint8
	egress  bool
	address string // of the pod
}

const (
	tcp = 6
	udp = 17
)

// podTable has one text of each pod.
type podTable struct {
	pods *[]aPod
	text func(p *aPod) string
}

func (t *podTable) Bytes(h event.Handle) []byte { return []byte(t.text(&(*t.pods)[h-1])) }
func (t *podTable) Bits(event.Handle) uint64    { return 0 }

const recordSize = 16 + 16 + 2 + 2 + 1

func addrText(off int) event.TextFunc {
	return func(dst []byte, b *event.Batch, row int) []byte {
		return netip.AddrFrom16([16]byte(b.Rows[row][off:])).Unmap().AppendTo(dst)
	}
}

// newSample returns a data source of connections: records are two addresses of 16 bytes, port, protocol and direction. Texts of pods
// are in a column, as stages fill it. local says whether it has the addresses of pods.
func newSample(pods *[]aPod, local bool) (*event.Schema, event.Column) {
	s := &event.Schema{Name: "network_connections", Size: recordSize, Fields: []event.Field{
		{Name: "endpoint", Kind: event.Struct, Parent: event.NoParent, Size: 20},
		{Name: "endpoint.addr", Kind: event.String, Parent: 0, Added: true, Text: addrText(0)},
		{Name: "endpoint.port", Kind: event.Uint, Parent: 0, Off: 32, Size: 2},
		{Name: "endpoint.proto", Kind: event.Uint, Parent: 0, Off: 34, Size: 2},
		{Name: "egress", Kind: event.Uint, Parent: event.NoParent, Off: 36, Size: 1},
	}}
	if local {
		s.Add(event.Field{Name: "local.addr", Kind: event.String, Parent: event.NoParent, Added: true, Text: addrText(16)})
	}
	var fields []event.Field
	for _, f := range []struct {
		name string
		text func(p *aPod) string
	}{
		{"k8s.namespace", func(p *aPod) string { return p.namespace }}, {"k8s.podName", func(p *aPod) string { return p.pod }},
		{"k8s.podLabels", func(p *aPod) string { return p.labels }}, {"k8s.owner.name", func(p *aPod) string { return p.owner }},
		{"runtime.containerName", func(p *aPod) string { return p.container }},
	} {
		fields = append(fields, event.Field{Name: f.name, Kind: event.String, Parent: event.NoParent, Table: &podTable{pods, f.text}})
	}
	return s, s.AddColumn(fields...)
}

// batchOf returns a batch with these rows.
func batchOf(s *event.Schema, column event.Column, pods *[]aPod, rows []row) *event.Batch {
	b := &event.Batch{Schema: s}
	for _, r := range rows {
		record := make([]byte, recordSize)
		for i, text := range []string{r.peer, r.address} {
			if text != "" {
				addr := netip.MustParseAddr(text).As16()
				copy(record[16*i:], addr[:])
			}
		}
		binary.NativeEndian.PutUint16(record[32:], r.port)
		binary.NativeEndian.PutUint16(record[34:], uint16(r.proto))
		if r.egress {
			record[36] = 1
		}
		b.Rows = append(b.Rows, record)
	}
	handles := column.Fill(b)
	for i, r := range rows {
		if r.aPod == (aPod{}) {
			continue
		}
		at := slices.Index(*pods, r.aPod)
		if at < 0 {
			at = len(*pods)
			*pods = append(*pods, r.aPod)
		}
		handles[i] = event.Handle(at + 1)
	}
	return b
}

// gathered returns a sink that has got the rows, in batches of the given size.
func gathered(t testing.TB, format string, local bool, size int, rows []row) *Sink {
	t.Helper()
	sink, err := New(format)
	if err != nil {
		t.Fatal(err)
	}
	var pods []aPod
	s, column := newSample(&pods, local)
	if _, err := sink.Bind(s); err != nil {
		t.Fatal(err)
	}
	for some := range slices.Chunk(rows, size) {
		if err := sink.Write(batchOf(s, column, &pods, some)); err != nil {
			t.Fatal(err)
		}
	}
	return sink
}

func textOf(t testing.TB, s *Sink) string {
	t.Helper()
	text, err := s.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
