// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// noCapabilities is the status of a thread that has no capabilities and cannot gain any.
var noCapabilities = map[string]string{
	"CapInh": none, "CapPrm": none, "CapEff": none, "CapBnd": none, "CapAmb": none, "NoNewPrivs": "1",
}

const none = "0000000000000000"

// onlyCapabilities is the status of a thread that has only these capabilities and cannot gain any.
func onlyCapabilities(numbers ...int) map[string]string {
	bits := 0
	for _, n := range numbers {
		bits |= 1 << n
	}
	want := maps.Clone(noCapabilities)
	for _, set := range []string{"CapPrm", "CapEff", "CapBnd"} {
		want[set] = fmt.Sprintf("%016x", bits)
	}
	return want
}

// followsContainers is the status of a run whose events name their containers.
var followsContainers = onlyCapabilities(unix.CAP_SYS_PTRACE)

// filtered adds to the status of a thread that it has a filter of system calls.
func filtered(t *testing.T, capabilities map[string]string) map[string]string {
	t.Helper()
	want := maps.Clone(capabilities)
	want["Seccomp"], want[filterCount] = "2", strconv.Itoa(ownFilters(t)+1)
	return want
}

// filterCount names the field that says how many filters of system calls a thread has.
const filterCount = "Seccomp_filters"

// ownFilters is how many filters this process has, which all that it starts have, too.
func ownFilters(t testing.TB) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\n"+filterCount+":\t")
	line, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.Atoi(line)
	if err != nil {
		t.Fatalf("/proc/self/status has no %s: %v", filterCount, err)
	}
	return n
}

// threadsWant returns which of a process's threads has another status than wanted, or "".
func threadsWant(pid int, want map[string]string) string {
	all, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(all) == 0 {
		return fmt.Sprintf("no threads of process %d: %v", pid, err)
	}
	for _, path := range all {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // ended meanwhile
		}
		for name, value := range want {
			if line := name + ":\t" + value + "\n"; !strings.Contains(string(text), line) {
				return fmt.Sprintf("%s lacks %q:\n%s", path, line, text)
			}
		}
	}
	return ""
}

// waitDropped waits until the program has dropped its privileges but these, which it does once it is attached.
func (p *process) waitDropped(t *testing.T, left map[string]string) {
	t.Helper()
	want := filtered(t, left)
	eventually(t, "the privileges are dropped", func() bool { return threadsWant(p.cmd.Process.Pid, want) == "" })
}

// wantDropped checks the threads that there are by now, too.
func (p *process) wantDropped(t *testing.T, left map[string]string) {
	t.Helper()
	if other := threadsWant(p.cmd.Process.Pid, filtered(t, left)); other != "" {
		t.Error(other)
	}
}

// A run goes on with no capability but the one to follow containers, and ends in good order. docs/security.md says so.
func TestCapabilitiesOfARun(t *testing.T) {
	kerneltest.RequireRoot(t)
	o := startOpener(t)
	file := filepath.Join(t.TempDir(), "recording")
	g := start(t, setup{}, "run", "trace_open", "--host", "-o", "json", "--pid", o.pid(), "--stats", "--record", file)
	held := g.waitAttached(t)
	g.waitDropped(t, followsContainers)
	o.open(t, 1000, "/proc/version")
	eventually(t, "events come out", func() bool { return strings.Count(g.out.String(), "\n") >= 1000 })
	g.wantDropped(t, followsContainers)
	g.interrupt(t)
	if !countedRuns.MatchString(g.err.String()) {
		t.Errorf("the runs and the instructions of the program are not told:\n%s", g.err.String())
	}
	wantGone(t, held)
	replay := run(t, setup{}, "replay", file, "-o", "json")
	replay.wantExit(t, 0)
	if replay.out.String() != g.out.String() {
		t.Error("the recording has not what the run wrote")
	}
}

// countedRuns matches a program's line of --stats: the hook, runs, time, nanoseconds, instructions.
var countedRuns = regexp.MustCompile(`(?m)/\S+ +[1-9]\d* +\S+ +\d+ +[1-9]\d* `)

func TestKeepCapabilities(t *testing.T) {
	kerneltest.RequireRoot(t)
	o := startOpener(t)
	g := start(t, setup{}, "run", "trace_open", "--host", "-o", "json", "--pid", o.pid(), "--keep-capabilities")
	eventually(t, "an event comes out", func() bool {
		o.open(t, 1, "/proc/version")
		return g.out.Len() > 0
	})
	if other := threadsWant(g.cmd.Process.Pid, map[string]string{"NoNewPrivs": "0", filterCount: strconv.Itoa(ownFilters(t))}); other != "" {
		t.Error(other)
	}
	if threadsWant(g.cmd.Process.Pid, map[string]string{"CapEff": none}) == "" {
		t.Error("the capabilities are gone")
	}
	g.interrupt(t)
}

// Where seccomp is forbidden a run goes on with all system calls, and -v says why.
func TestRunWhereSeccompIsForbidden(t *testing.T) {
	kerneltest.RequireRoot(t)
	o := startOpener(t)
	g := start(t, setup{helper: helperForbidSeccomp}, "run", "trace_open", "--host", "-o", "json", "--pid", o.pid(), "-v")
	eventually(t, "the capabilities are dropped", func() bool { return threadsWant(g.cmd.Process.Pid, followsContainers) == "" })
	eventually(t, "an event comes out", func() bool {
		o.open(t, 1, "/proc/version")
		return g.out.Len() > 0
	})
	g.interrupt(t)
	g.wantErr(t, `msg="gizmo keeps all system calls" error="seccomp: operation not permitted"`)
}

// Perf buffers and maps are read, and maps emptied, without any capability. TestGadgets shows it of ring buffers
// and iterators.
func TestCapabilitiesOfOtherSources(t *testing.T) {
	kerneltest.RequireRoot(t)
	dir := filepath.Join(t.TempDir(), "kinds")
	source, err := os.ReadFile("testdata/kinds.bpf.c")
	if err == nil {
		err = os.Mkdir(dir, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "program.bpf.c"), source, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	o := startOpener(t)
	cache := setup{env: []string{"XDG_CACHE_HOME=" + t.TempDir()}}
	g := start(t, cache, "run", dir, "--host", "-o", "json", "--opener", o.pid(), "--map-fetch-interval", "50ms", "--annotate", "calls:ebpf.map.flush-on-stop=true")
	held := g.waitAttached(t)
	g.waitDropped(t, noCapabilities)
	const opened = 100
	o.open(t, opened, "/proc/version")
	eventually(t, "the counts come out", func() bool { return strings.Contains(g.out.String(), `"calls":`) })
	g.wantDropped(t, noCapabilities)
	o.open(t, opened, "/proc/version")
	g.interrupt(t)
	if n := strings.Count(g.out.String(), `{"number":1}`+"\n"); n != 2*opened {
		t.Errorf("%d events came through the perf buffer, want %d", n, 2*opened)
	}
	if n := sumOf(t, g.out.String()); n != 2*opened {
		t.Errorf("the counts amount to %d, want %d", n, 2*opened)
	}
	wantGone(t, held)
}

var callsOf = regexp.MustCompile(`"calls":(\d+)`)

func sumOf(t *testing.T, text string) (sum int) {
	t.Helper()
	for _, m := range callsOf.FindAllStringSubmatch(text, -1) {
		var n int
		if _, err := fmt.Sscan(m[1], &n); err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}

// A replay has dropped everything before it reads a byte of the recording.
func TestCapabilitiesOfAReplay(t *testing.T) {
	kerneltest.RequireRoot(t)
	recording, err := os.ReadFile(recordingOf("trace_signal"))
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	g := start(t, setup{in: r}, "replay", "-", "-o", "json")
	g.waitDropped(t, noCapabilities)
	if _, err := w.Write(recording); err != nil {
		t.Fatal(err)
	}
	w.Close()
	g.wantExit(t, 0)
	golden(t, filepath.Join("recordings", "trace_signal.json"), g.out.String())
}

// capabilityNumbers are those that the page of docs names.
var capabilityNumbers = map[string]int{
	"CAP_BPF": unix.CAP_BPF, "CAP_PERFMON": unix.CAP_PERFMON, "CAP_DAC_READ_SEARCH": unix.CAP_DAC_READ_SEARCH,
	"CAP_SYS_ADMIN": unix.CAP_SYS_ADMIN, "CAP_SYS_PTRACE": unix.CAP_SYS_PTRACE, "CAP_SYSLOG": unix.CAP_SYSLOG,
	"CAP_NET_ADMIN": unix.CAP_NET_ADMIN,
	"CAP_NET_RAW":   unix.CAP_NET_RAW,
}

// capabilityRow matches a row: the gadget, the capabilities, and those that are needed where these do not suffice.
var capabilityRow = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ([^|]*) \\| ([^|]*) \\|$")

// documentedCapabilities reads from docs/security.md the capabilities that each gadget needs: one or two sets.
func documentedCapabilities(t *testing.T) map[string][][]string {
	t.Helper()
	page, err := os.ReadFile(moduleDir + "/docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := make(map[string][][]string)
	for _, m := range capabilityRow.FindAllStringSubmatch(string(page), -1) {
		for _, cell := range m[2:] {
			switch {
			case cell == "none":
				rows[m[1]] = append(rows[m[1]], nil)
			case strings.HasPrefix(cell, "CAP_"):
				rows[m[1]] = append(rows[m[1]], strings.Split(cell, ", "))
			}
		}
	}
	return rows
}

// Each gadget works for an ordinary user with exactly the capabilities that docs/security.md lists, and with no fewer.
func TestSmallestCapabilities(t *testing.T) {
	kerneltest.RequireRoot(t)
	rows := documentedCapabilities(t)
	for _, name := range gadgetNames(t) {
		t.Run(name, func(t *testing.T) {
			if len(rows[name]) == 0 {
				t.Fatal("docs/security.md has no row for it")
			}
			w := startWorkload(t, name, t.TempDir())
			if len(hooksOf(t, name, w.Args).missing(offered(t))) > 0 {
				return // TestGadgets checks the error about it
			}
			caps := rows[name][0]
			all := runsWith(t, w, caps)
			if len(rows[name]) == 2 && all < runs {
				caps = rows[name][1]
				all = runsWith(t, w, caps)
			}
			for i, one := range caps {
				if runsWith(t, w, slices.Delete(slices.Clone(caps), i, i+1)) >= all {
					t.Errorf("it takes no %s", one)
				}
			}
			t.Logf("%s runs with %v", name, caps)
			w.as = asUser(t, caps)
			undisturbed(t, w, func(t *kerneltest.Attempt, w *workload) {
				r := w.run(t)
				for _, e := range r.want.rows {
					forgetNames(e)
				}
				r.wantExpected(t)
				r.wantNothingLeft(t)
			})
		})
	}
}

// forgetNames removes the functions of stacks from an event: gizmo finds those of other users' processes with further capabilities, or if it sees
// the process start.
func forgetNames(e map[string]any) {
	delete(e, "symbols")
	for _, v := range e {
		if inner, ok := v.(map[string]any); ok {
			forgetNames(inner)
		}
	}
}

// howFar says how far a gadget gets with some capabilities.
type howFar int

const (
	refused    howFar = iota // it does not start
	withoutUDP               // it does not find the processes of most packets
	runs
)

// runsWith finds out how far the gadget gets with the capabilities.
func runsWith(t *testing.T, w *workload, caps []string) howFar {
	t.Helper()
	g := run(t, asUser(t, caps), append([]string{"run", w.gadget, "--host", "-o", "none", "--timeout", "200ms"}, w.Args...)...) // long enough to open perf buffers
	code, text := g.wait(t), g.err.String()
	switch {
	case code == 0 && strings.Contains(text, `lacks="sockets of UDP`):
		return withoutUDP
	case code == 0:
		return runs
	case !strings.Contains(text, "missing privileges") && !strings.Contains(text, "permission denied"):
		t.Errorf("with %v: %v, standard error: %s", caps, g.cmd.ProcessState, text)
	}
	return refused
}

// asUser starts gizmo as an ordinary user, from a file that gives it capabilities.
func asUser(t *testing.T, caps []string) setup {
	t.Helper()
	dir, err := os.MkdirTemp("", "gizmo-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	program, err := os.ReadFile(gizmoPath)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "gizmo")
	kerneltest.WriteProgram(t, path, program)
	for _, p := range []string{dir, path} {
		if err := os.Chmod(p, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Setxattr(path, "security.capability", fileCapabilities(t, caps), 0); err != nil {
		t.Fatalf("give capabilities to the file %s: %v", path, err)
	}
	return setup{gizmo: path, user: nobody, dir: "/"}
}

// fileCapabilities encodes capabilities as the kernel keeps them with a file: revision 2, effective, then the low
// halves of the permitted and the inheritable set, and the high ones.
func fileCapabilities(t *testing.T, caps []string) []byte {
	t.Helper()
	var permitted uint64
	for _, name := range caps {
		number, ok := capabilityNumbers[name]
		if !ok {
			t.Fatalf("the test does not know %s", name)
		}
		permitted |= 1 << number
	}
	const revision2, effective = 0x02000000, 1
	var data []byte
	for _, word := range []uint32{revision2 | effective, uint32(permitted), 0, uint32(permitted >> 32), 0} {
		data = binary.LittleEndian.AppendUint32(data, word)
	}
	return data
}
