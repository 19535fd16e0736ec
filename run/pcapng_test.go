// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// packetsSchema is a data source of packets.
func packetsSchema(name string) *event.Schema {
	return &event.Schema{Name: name, Single: true, Size: 16, Fields: []event.Field{
		{Name: "timestamp_raw", Kind: event.Uint, Size: 8, Types: []string{"gadget_timestamp", "__u64"}, Parent: event.NoParent},
		{Name: "ifindex", Kind: event.Uint, Off: 8, Size: 4, Parent: event.NoParent},
		{Name: "payload", Kind: event.Bytes, Off: 16, Rest: true, Parent: event.NoParent},
	}}
}

func packetSettings() *annotation.Spec {
	return &annotation.Spec{Source: annotation.Set{annotation.PayloadKey: "payload", annotation.InterfaceKey: "ifindex"}}
}

func TestPacketsHaveTheOutputToThemselves(t *testing.T) {
	t.Parallel()
	all := specs{{Name: "packets"}: packetSettings(), {Name: "more"}: packetSettings(), {Name: "opens"}: {}}
	terminal, _ := newTerminal(t)
	for _, c := range []struct {
		modes, sources string
		w              io.Writer
		want           string
	}{
		{modes: "pcap-ng", sources: "packets"},
		{modes: "packets:pcap-ng,opens:none", sources: "packets opens"},
		{modes: "packets:pcap-ng", sources: "packets opens", want: "output: the output can hold the packets of one data source and nothing else: packets:pcap-ng, and none for the others"},
		{modes: "pcap-ng", sources: "more packets", want: "output: the output can hold the packets of one data source"},
		{modes: "pcap-ng", sources: "packets", w: terminal, want: "output: pcap-ng is not for terminals, and the output is a terminal: write to a file or a pipe"},
		{modes: "pcap-ng", sources: "opens", want: `output: pcap-ng: data source "opens": its events are not packets: no annotation cli.pcap-ng.payload names the field`},
	} {
		var schemas []*event.Schema
		for name := range strings.FieldsSeq(c.sources) {
			schemas = append(schemas, packetsSchema(name))
		}
		sink, err := newTextSink(&Text{W: c.w, Modes: c.modes}, all, idsOf(schemas))
		for _, s := range schemas {
			if err == nil {
				_, err = sink.Bind(s)
			}
		}
		got := ""
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, c.want) || (c.want == "") != (got == "") {
			t.Errorf("%s of %s: got %q, want %q", c.modes, c.sources, got, c.want)
		}
		if c.w == terminal && !errors.Is(err, ErrTerminal) {
			t.Errorf("%v is not ErrTerminal", err)
		}
	}
}

// A batch is written whole, even if there is more, so that a reader never waits for the rest of a packet.
func TestBatchesOfPacketsAreWrittenWhole(t *testing.T) {
	t.Parallel()
	s := packetsSchema("packets")
	sink, err := newTextSink(&Text{W: tempFile(t), Modes: "pcap-ng"}, specs{s.ID(): packetSettings()}, idsOf([]*event.Schema{s}))
	if err != nil {
		t.Fatal(err)
	}
	file := &pieces{}
	sink.w = file
	if _, err := sink.Bind(s); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(sink.begin(), sink.Write(&event.Batch{Schema: s, Rows: packetRows(7, 500, 1000), More: true})); err != nil {
		t.Fatal(err)
	}
	end := 0
	for _, n := range file.sizes {
		end += n
		if binary.LittleEndian.Uint32(file.text[end-4:]) > 2000 || len(file.sizes) < 2 {
			t.Errorf("%v: a piece ends within a packet", file.sizes)
		}
	}
	if want := 500 * (32 + 1000); end < want {
		t.Errorf("%d bytes are written of more than %d", end, want)
	}
}

func tempFile(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "packets.pcapng"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// packetRows returns n packets of an interface with size bytes each.
func packetRows(index uint32, n, size int) (rows [][]byte) {
	for range n {
		row := make([]byte, 16+size)
		binary.LittleEndian.PutUint32(row[8:], index)
		rows = append(rows, row)
	}
	return rows
}

// While the reader rests, packets are lost. What it gets afterwards is readable, and says how many were lost, although descriptions of
// interfaces were among that.
func TestPacketsForAReaderThatRests(t *testing.T) {
	t.Parallel()
	tshark := kerneltest.RequireProgram(t, "tshark")
	s := packetsSchema("packets")
	r, w := io.Pipe()
	sink, err := newTextSink(&Text{W: w, Modes: "pcap-ng"}, specs{s.ID(): packetSettings()}, idsOf([]*event.Schema{s}))
	if err != nil {
		t.Fatal(err)
	}
	sink.q = newQueue(plainOutput{w}, false, func() {})
	sink.q.limit = 1000
	books := &noting{sink: sink, schema: s}
	write := packetsInto(t, sink, s, books)
	for i := range 40 { // each batch is of an interface that was not there before
		write(uint32(i))
	}
	read := make(chan []byte)
	go func() {
		text, err := io.ReadAll(r)
		if err != nil {
			t.Error(err)
		}
		read <- text
	}()
	for before := -1; books.counts().lost != before; { // until the queue takes packets again
		before = books.counts().lost
		write(0)
	}
	if err := errors.Join(sink.q.close(), w.Close()); err != nil {
		t.Fatal(err)
	}
	file := tempFile(t)
	if _, err := file.Write(<-read); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), tshark, "-r", file.Name(), "-T", "fields", "-e", "frame.drop_count", "-e", "frame.interface_name").Output()
	if err != nil {
		t.Fatal(err)
	}
	lost := 0
	lines := bytes.Split(bytes.TrimRight(out, "\n"), []byte("\n"))
	for _, line := range lines {
		n, _, _ := bytes.Cut(line, []byte("\t"))
		count, _ := strconv.Atoi(string(n))
		lost += count
	}
	if len(lines) != books.counts().delivered || lost != books.counts().lost || lost == 0 {
		t.Errorf("the file has %d packets and tells of %d lost ones; %d were delivered and %d lost", len(lines), lost, books.counts().delivered, books.counts().lost)
	}
	if !bytes.HasSuffix(lines[len(lines)-1], []byte("\tifindex 0")) {
		t.Errorf("the last is %q", lines[len(lines)-1])
	}
}

// noting is a tally that tells the sink of losses, as the run does.
type noting struct {
	tally
	sink   *textSink
	schema *event.Schema
}

// counts returns the counts so far.
func (n *noting) counts() (c struct{ delivered, lost int }) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c.delivered, c.lost = n.delivered, n.tally.lost[event.OutputSlow]
	return c
}

func (n *noting) Lost(rows int, cause event.Cause) {
	n.tally.Lost(rows, cause)
	n.sink.noteLost(n.schema, []event.Loss{{Count: uint64(rows), Cause: cause}})
}

// packetsInto prepares the sink and returns a function that writes two packets of an interface to it.
func packetsInto(t *testing.T, sink *textSink, s *event.Schema, books pipeline.Books) func(index uint32) {
	t.Helper()
	if _, err := sink.Bind(s); err != nil {
		t.Fatal(err)
	}
	lateText{sink}.Book(s, books)
	if err := sink.begin(); err != nil {
		t.Fatal(err)
	}
	return func(index uint32) {
		if err := sink.Write(&event.Batch{Schema: s, Rows: packetRows(index, 2, 100)}); err != nil {
			t.Error(fmt.Errorf("interface %d: %w", index, err))
		}
	}
}
