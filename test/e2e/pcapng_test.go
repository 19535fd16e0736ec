// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// outputOf returns the output of a program that reads a file.
func outputOf(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program, args...).Output()
	if err != nil {
		t.Fatalf("%s: %v", program, err)
	}
	return string(out)
}

// The packets of an interface become a file that Wireshark and tcpdump read. The recording of the run gives the same file.
func TestPacketsAsAFile(t *testing.T) {
	kerneltest.RequireRoot(t)
	tshark, tcpdump := kerneltest.RequireProgram(t, "tshark"), kerneltest.RequireProgram(t, "tcpdump")
	dir := t.TempDir()
	file, recording, again := filepath.Join(dir, "packets.pcapng"), filepath.Join(dir, "packets.rec"), filepath.Join(dir, "again.pcapng")
	w := startWorkload(t, "tcpdump", dir)
	g := start(t, setup{}, append([]string{"run", "tcpdump", "-o", "pcap-ng", "--output-file", file, "--record", recording}, w.Args...)...)
	g.waitAttached(t)
	want := w.cause(t)
	g.interrupt(t)
	g.wantNoOut(t)

	var lines strings.Builder
	for _, e := range want.rows {
		tag, size, cut, direction := "", numberIn(t, e, "packet_size"), numberIn(t, e, "payload_len"), 1
		if e.get("direction") == "out" {
			direction = 2
		}
		if vlan := numberIn(t, e, "vlan"); vlan != 0 { // it is back in its place
			tag, size, cut = fmt.Sprint(vlan&0xfff), size+4, cut+4
		} else if strings.HasPrefix(e.get("summary"), "VLAN 7 ") {
			tag = "7"
		}
		comment := ""
		if pid := e.get("proc.pid"); pid != "0" {
			comment = "comm=" + e.get("proc.comm") + " pid=" + pid
		}
		fmt.Fprintf(&lines, "%s|0x%08x|%d|%d|%s|%s\n", e.get("ifname"), direction, size, cut, tag, comment)
	}
	got := outputOf(t, tshark, "-n", "-r", file, "-T", "fields", "-E", "separator=|", "-e", "frame.interface_name", "-e", "frame.packet_flags_direction",
		"-e", "frame.len", "-e", "frame.cap_len", "-e", "vlan.id", "-e", "frame.comment")
	wantSame(t, "tshark", got, lines.String())
	// It shows bytes of unknown protocols in lines that begin with a tab.
	if text := outputOf(t, tcpdump, "-n", "-r", file); strings.Count(text, "\n")-strings.Count(text, "\n\t") != len(want.rows) || !strings.Contains(text, "10.9.8.1.19 > 10.9.8.2.9") {
		t.Errorf("tcpdump shows\n%s", text)
	}

	r := run(t, setup{}, "replay", recording, "-o", "pcap-ng", "--sort", "timestamp_raw", "--output-file", again)
	r.wantExit(t, 0)
	a, errA := os.ReadFile(file)
	b, errB := os.ReadFile(again)
	if errA != nil || errB != nil || len(a) == 0 || string(a) != string(b) {
		t.Errorf("the replay gives another file: %d and %d bytes, %v, %v", len(a), len(b), errA, errB)
	}
}

func numberIn(t *testing.T, e jsonEvent, field string) (n int) {
	t.Helper()
	if _, err := fmt.Sscan(e.get(field), &n); err != nil {
		t.Fatalf("%s: %s: %v", e, field, err)
	}
	return n
}
