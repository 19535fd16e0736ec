// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/wire"
	"github.com/gizmo-ebpf/gizmo/wire/wiretest"
)

func TestOutputFile(t *testing.T) {
	tp := makeTape(t, 4)
	dir := t.TempDir()
	file := filepath.Join(dir, "out")
	if got := invoke(string(tp.bytes), "replay", "-", "-o", "json", "--output-file", file); got.code != 0 || got.out != "" {
		t.Fatalf("%+v", got)
	}
	text, err := os.ReadFile(file)
	if err != nil || string(text) != tp.output(10) {
		t.Errorf("the file has %q, %v", text, err)
	}
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: other users may read it", st.Mode(), err)
	}
	// It replaces what a file has, but not if nothing can be written.
	if got := invoke("no recording", "replay", "-", "--output-file", file); got.code != 1 {
		t.Errorf("%+v", got)
	}
	if again, _ := os.ReadFile(file); string(again) != string(text) {
		t.Errorf("a replay that failed has left %q", again)
	}
	if got := invoke(string(makeTape(t, 1).bytes), "replay", "-", "-o", "json", "--output-file", file); got.code != 0 {
		t.Errorf("%+v", got)
	}
	if again, _ := os.ReadFile(file); string(again) != tp.output(1) {
		t.Errorf("the file has %q", again)
	}
	fresh := filepath.Join(dir, "fresh")
	if got := invoke("no recording", "replay", "-", "--output-file", fresh); got.code != 1 {
		t.Errorf("%+v", got)
	}
	if _, err := os.Stat(fresh); !os.IsNotExist(err) {
		t.Errorf("a replay that failed has left a file: %v", err)
	}
	if got := invoke(string(tp.bytes), "replay", "-", "--output-file", dir); got.code != 1 || !strings.HasPrefix(got.err, "gizmo: --output-file: open "+dir) {
		t.Errorf("a folder: %+v", got)
	}
	if got := invoke(string(tp.bytes), "replay", "-", "-o", "json", "--output-file", "/dev/full"); got.code != 1 || !strings.Contains(got.err, "write the output: ") {
		t.Errorf("a full disk: %+v", got)
	}
}

// packetTape is a recording of two packets of UDP.
func packetTape(t *testing.T) string {
	t.Helper()
	s := &event.Schema{Name: "packets", Single: true, Size: 16, Fields: []event.Field{
		{Name: "timestamp_raw", Kind: event.Uint, Size: 8, Types: []string{"gadget_timestamp", "__u64"}, Parent: -1},
		{Name: "size", Kind: event.Uint, Off: 8, Size: 4, Parent: -1},
		{Name: "payload", Kind: event.Bytes, Off: 16, Rest: true, Parent: -1},
	}}
	annotations, err := json.Marshal(map[string]any{"source": map[string]string{
		"cli.pcap-ng.payload": "payload", "cli.pcap-ng.timestamp": "timestamp", "cli.pcap-ng.packet-length": "size",
	}})
	if err != nil {
		t.Fatal(err)
	}
	b := &event.Batch{Schema: s}
	for i := range uint64(2) {
		row := binary.LittleEndian.AppendUint64(nil, 1000+i)
		row = append(row, 100, 0, 0, 0, 0, 0, 0, 0)
		row = append(row, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0)
		row = append(row, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 7, 0, 53, 0, 8, 0, 0)
		b.Rows = append(b.Rows, row)
	}
	h := wire.Header{DataSources: []wire.DataSource{{Schema: s, Annotations: annotations}}, Machine: wire.Machine{BootOffset: 1_600_000_000_000_000_000}}
	return string(wiretest.RecordBatches(t, h, b))
}

// A recording of packets becomes a file for Wireshark, with the times of the machine that was traced.
func TestReplayAsPackets(t *testing.T) {
	tshark := kerneltest.RequireProgram(t, "tshark")
	file := filepath.Join(t.TempDir(), "packets.pcapng")
	got := invoke(packetTape(t), "replay", "-", "-o", "pcap-ng", "--output-file", file)
	if got.code != 0 {
		t.Fatalf("%+v", got)
	}
	out, err := exec.CommandContext(t.Context(), tshark, "-r", file, "-T", "fields", "-e", "frame.time_epoch", "-e", "frame.len", "-e", "udp.dstport").Output()
	if want := "1600000000.000001000\t100\t53\n1600000000.000001001\t100\t53\n"; err != nil || string(out) != want {
		t.Errorf("got %q, %v, want %q", out, err, want)
	}
	piped := invoke(packetTape(t), "replay", "-", "-o", "pcap-ng")
	if content, err := os.ReadFile(file); err != nil || piped.out != string(content) {
		t.Errorf("standard output gets something else than the file: %v", err)
	}
}

func TestNoPackets(t *testing.T) {
	got := invoke(string(makeTape(t, 2).bytes), "replay", "-", "-o", "pcap-ng")
	want := "--output: pcap-ng: data source \"count\": its events are not packets: no annotation cli.pcap-ng.payload names the field with a packet's bytes\n"
	if got.code != 1 || got.out != "" || !strings.HasSuffix(got.err, want) {
		t.Errorf("%+v", got)
	}
}
