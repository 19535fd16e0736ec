// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
)

// holdEnv makes the test program a process that runs gadgets until it is killed. Its value says what the
// kernel offers.
const holdEnv = "GIZMO_TEST_HOLD"

// TestHold is what that process does: it attaches programs to all kinds of hooks that the kernel has and
// prints the ids of their programs.
func TestHold(t *testing.T) {
	if os.Getenv(holdEnv) == "" {
		return // it is no test of its own
	}
	inOwnNetwork(t)
	has := offers(t)
	images := map[string]LoadOptions{"sockets": {}, "packets": {Interface: "lo"}, "hooks": {}}
	if has.kprobes && has.trampolines {
		images["functions"] = LoadOptions{}
	}
	if has.lsm {
		images["lsm"] = LoadOptions{}
	}
	for name, o := range images {
		img := parse(t, name)
		o.Params = watching(t, img)
		printPrograms(t, start(t, img, o))
	}
	printPrograms(t, start(t, parseWith(t, "samples", samplingYAML("sampler.frequency: 1")), LoadOptions{}))
	fmt.Println("\nready")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func printPrograms(t *testing.T, g *running) {
	t.Helper()
	programs, _ := kernelIDs(t, g.Gadget)
	for _, id := range programs {
		fmt.Println("\nprogram", id)
	}
}

// When gizmo is killed, nothing stays behind, whatever the gadget is attached to.
func TestKillLeavesNothing(t *testing.T) {
	has := offers(t)
	env := holdEnv + "=yes"
	for name, offered := range map[string]bool{"kprobes": has.kprobes, "trampolines": has.trampolines, "lsm": has.lsm} {
		if offered {
			env += "," + name
		}
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestHold$")
	cmd.Env = append(os.Environ(), env)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe() // keeps it waiting
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	if ids := killHolder(t, cmd); len(ids) < 9 {
		t.Fatalf("programs %v", ids)
	}
}

// killHolder starts a test program that holds programs in the kernel, kills it once it is ready, and waits until they have gone.
func killHolder(t *testing.T, cmd *exec.Cmd) []ebpf.ProgramID {
	t.Helper()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ids, ready := readHeld(stdout)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if !ready {
		t.Fatalf("programs %v, and it did not get ready", ids)
	}
	for _, id := range ids {
		gone(t, "program", func() (io.Closer, error) { return ebpf.NewProgramFromID(id) })
	}
	return ids
}

// readHeld reads what the process prints, until it is ready.
func readHeld(r io.Reader) (ids []ebpf.ProgramID, ready bool) {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		if lines.Text() == "ready" {
			return ids, true
		}
		if text, ok := strings.CutPrefix(lines.Text(), "program "); ok {
			if id, err := strconv.ParseUint(text, 10, 32); err == nil {
				ids = append(ids, ebpf.ProgramID(id))
			}
		}
	}
	return ids, false
}
