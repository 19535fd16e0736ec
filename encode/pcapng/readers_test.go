// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pcapng_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// ask runs a program and returns its output.
func ask(t *testing.T, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, &complaints)
	}
	return string(out)
}

func fileOf(t *testing.T, content []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "packets.pcapng")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestTshark: Wireshark reads all that the file has, in a second section, too.
func TestTshark(t *testing.T) {
	t.Parallel()
	tshark := kerneltest.RequireProgram(t, "tshark")
	s := newSample()
	e := s.bind(t)
	file := e.Append(e.Head(nil), s.batch(
		packet{time: 1, index: 3, name: "eth0", link: 1, payload: ethernet(1, 2, 3), length: 1234, comm: "web server", pid: 12, container: "web", packetType: 4},
		packet{time: 2, index: 9, name: "wg0", link: 65534, payload: ip(), comm: "dig", pid: 5, packetType: 0},
	))
	e.Taken(false)
	e.Lost(77)
	file = e.Append(file, s.batch(packet{time: 3, index: 3, name: "eth0", link: 1, payload: ethernet(), vlan: 0x81000007, packetType: 1}))

	args := []string{"-n", "-r", fileOf(t, file), "-T", "fields", "-E", "separator=|"}
	for _, field := range []string{
		"frame.time_epoch", "frame.cap_len", "frame.len", "frame.interface_name", "frame.packet_flags_direction", "frame.comment", "frame.drop_count", "ip.src", "udp.dstport", "vlan.id", "frame.section_number",
	} {
		args = append(args, "-e", field)
	}
	got := ask(t, tshark, args...)
	want := `1700000000.000000001|45|1234|eth0|0x00000002|comm="web server" pid=12 container=web||10.0.0.1|53||1
1700000000.000000002|28|28|wg0|0x00000001|comm=dig pid=5||10.0.0.1|53||1
1700000000.000000003|46|46|eth0|0x00000001||77|10.0.0.1|53|7|2
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestTcpdump: libpcap reads files whose interfaces are all of one kind.
func TestTcpdump(t *testing.T) {
	t.Parallel()
	tcpdump := kerneltest.RequireProgram(t, "tcpdump")
	s := newSample()
	e := s.bind(t)
	file := e.Append(e.Head(nil), s.batch(
		packet{time: 1000, index: 3, name: "eth0", link: 1, payload: ethernet(1, 2, 3), length: 1234, comm: "curl", pid: 12},
		packet{time: 2000, index: 1, name: "lo", link: 772, payload: ethernet(1)},
	))
	e.Taken(false)
	file = e.Append(file, s.batch(packet{time: 3000, index: 1, name: "lo", link: 772, payload: ethernet(1)}))
	got := ask(t, tcpdump, "-n", "-tt", "-r", fileOf(t, file), "udp dst port 53 and src host 10.0.0.1")
	if n := strings.Count(got, "10.0.0.1.4000 > 10.0.0.2.53"); n != 3 || !strings.HasPrefix(got, "1700000000.000001 ") {
		t.Errorf("got %d packets:\n%s", n, got)
	}
}
