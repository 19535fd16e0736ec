// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/wire"
)

// mostMemory is the most memory that a replay may take, whatever the recording.
const mostMemory = 68 << 20

// makeBomb writes the recording to a file.
func makeBomb(t *testing.T, b *bomb) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "bomb.rec")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := wire.NewWriter(f, b.header)
	if err != nil {
		t.Fatal(err)
	}
	b.write(t, w)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// A recording has only limited influence on the memory of its replay, whatever is large in it.
func TestReplayInLittleMemory(t *testing.T) {
	for name, b := range bombs() {
		t.Run(name, func(t *testing.T) {
			path := makeBomb(t, &b)
			modes := []string{"json", "columns", "yaml", "jsonpretty", "none"}
			if b.once {
				modes = modes[:1]
			}
			for _, mode := range modes {
				peak, p := peakOf(t, path, append([]string{"-o", mode, "-v"}, b.flags...))
				t.Logf("%s: %d KiB", mode, peak>>10)
				if peak > mostMemory || peak == 0 && b.wantRefusal == "" {
					t.Errorf("%s: it took %d KiB", mode, peak>>10)
				}
				if b.wantRefusal != "" {
					p.wantExit(t, 1)
					p.wantErr(t, b.wantRefusal)
					continue
				}
				p.wantExit(t, 0)
				p.wantErr(t, " 0 filtered, ")
			}
		})
	}
}

// peakOf replays a recording to its end, throws the output away, and returns the most memory that it took. The recording comes
// without its last byte at first: once gizmo waits for that, it has done all that takes memory.
func peakOf(t *testing.T, recording string, flags []string) (peak int, p *process) {
	t.Helper()
	data, err := os.ReadFile(recording)
	if err != nil {
		t.Fatal(err)
	}
	from, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	p = start(t, setup{in: from, out: null}, append([]string{"replay", "-"}, flags...)...)
	from.Close()
	last := len(data) - 1
	_, _ = to.Write(data[:last]) // fails where the recording is refused
	for idle, before, ended := 0, "", false; idle < 10 && !ended; idle++ {
		select {
		case <-p.ended:
			ended = true
		case <-time.After(10 * time.Millisecond):
		}
		peak = max(peak, mostResident(p.cmd.Process.Pid))
		if now := activity(p.cmd.Process.Pid); now != before || now == "" {
			idle, before = 0, now
		}
	}
	_, _ = to.Write(data[last:])
	to.Close()
	p.wait(t)
	return peak, p
}

// activity returns how much processor time the threads of a process have used and which of them wait for a processor, in a form that can be
// compared. It is empty while a thread runs or wants to.
func activity(pid int) string {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	var text []byte
	for _, thread := range threads {
		stat, _ := os.ReadFile(filepath.Join(thread, "stat"))
		if _, rest, _ := bytes.Cut(stat, []byte(") ")); len(rest) > 0 && rest[0] != 'S' {
			return ""
		}
		times, _ := os.ReadFile(filepath.Join(thread, "schedstat"))
		text = append(text, times...)
	}
	return string(text)
}

// mostResident returns a process's VmHWM in bytes; 0 if it has ended.
func mostResident(pid int) int {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(status)) {
		if text, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, _ := strconv.Atoi(strings.Fields(text)[0])
			return n << 10
		}
	}
	return 0
}
