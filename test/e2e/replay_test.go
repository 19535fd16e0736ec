// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

var record = flag.Bool("record", false, "make the recordings in testdata anew, and then the golden files")

// recordings are made of the gadgets' workloads, one of each.
const recordings = "testdata/recordings"

func recordingOf(gadget string) string { return filepath.Join(recordings, gadget+".rec") }

// Every gadget's recording, in every format, comes out as it once did: on any machine, by anybody.
func TestReplayOfRecordings(t *testing.T) {
	for _, gadget := range gadgetNames(t) {
		if *record {
			kerneltest.RequireRoot(t)
			makeRecording(t, gadget)
			*update = true
		}
		for file, flags := range map[string][]string{
			"columns":       {"-o", "columns"},
			"json":          {"-o", "json"},
			"jsonpretty":    {"-o", "jsonpretty"},
			"yaml":          {"-o", "yaml"},
			"none":          {"-o", "none"},
			"exact.json":    {"-o", "json", "--fields", "proc.tid,proc.creds,timestamp"},
			"exact.columns": {"--fields", "timestamp,proc.comm"},
			"more.columns":  {"--fields", "+timestamp_raw,+proc.parent.pid"},
			"fewer.yaml":    {"-o", "yaml", "--fields", "-timestamp,-timestamp_raw"},
			"fewer.json":    {"-o", "json", "--fields", "-proc"},
		} {
			t.Run(gadget+"/"+file, func(t *testing.T) {
				t.Parallel()
				g := run(t, setup{}, append([]string{"replay", recordingOf(gadget)}, flags...)...)
				g.wantExit(t, 0)
				if text := g.err.String(); text != "" {
					t.Errorf("unexpected on standard error: %s", text)
				}
				golden(t, filepath.Join("recordings", gadget+"."+file), g.out.String())
			})
		}
		t.Run(gadget+"/default", func(t *testing.T) {
			t.Parallel()
			g := run(t, setup{}, "replay", recordingOf(gadget))
			g.wantExit(t, 0)
			golden(t, filepath.Join("recordings", gadget+".columns"), g.out.String())
		})
	}
}

// How many places of a file the tests below try. Package cli tries all, without a process for each.
const places = 12

// Whatever is whole before a recording's end is shown, and then an error.
func TestReplayOfTruncatedFiles(t *testing.T) {
	for _, gadget := range gadgetNames(t) {
		t.Run(gadget, func(t *testing.T) {
			t.Parallel()
			data, whole := readRecording(t, gadget)
			for i := range places {
				cut := len(data) * i / places
				replayDamaged(t, data[:cut], whole)
			}
			replayDamaged(t, data[:len(data)-1], whole)
		})
	}
}

// Whatever comes before the damage is shown, and then an error.
func TestReplayOfDamagedFiles(t *testing.T) {
	for _, gadget := range gadgetNames(t) {
		t.Run(gadget, func(t *testing.T) {
			t.Parallel()
			data, whole := readRecording(t, gadget)
			for i := range places {
				damaged := bytes.Clone(data)
				damaged[len(data)*i/places] ^= 0x10
				replayDamaged(t, damaged, whole)
			}
		})
	}
}

// readRecording returns a gadget's recording and all that its replay prints.
func readRecording(t *testing.T, gadget string) (data []byte, whole string) {
	t.Helper()
	data, err := os.ReadFile(recordingOf(gadget))
	if err != nil {
		t.Fatal(err)
	}
	g := run(t, setup{}, "replay", recordingOf(gadget), "-o", "json")
	g.wantExit(t, 0)
	return data, g.out.String()
}

// replayDamaged checks that data is refused after the beginning of what is printed of it.
func replayDamaged(t *testing.T, data []byte, whole string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "damaged.rec")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	g := run(t, setup{}, "replay", file, "-o", "json")
	g.wantExit(t, 1)
	g.wantErr(t, "gizmo: "+file+": ")
	if out := g.out.String(); !strings.HasPrefix(whole, out) || out != "" && !strings.HasSuffix(out, "\n") {
		t.Errorf("not the beginning of the output: %q", out)
	}
}

func TestReplayOfWhatIsNoRecording(t *testing.T) {
	garbage := filepath.Join(t.TempDir(), "garbage")
	if err := os.WriteFile(garbage, bytes.Repeat([]byte("garbage\n"), 100), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ file, want string }{
		{"/nonexistent/recording", "gizmo: open /nonexistent/recording: no such file or directory\n"},
		{garbage, "gizmo: " + garbage + ": not a gizmo recording\n"},
		{"/dev/null", "gizmo: /dev/null: the recording is cut short"},
		{filepath.Dir(garbage), "is a directory"},
	} {
		g := run(t, setup{}, "replay", c.file)
		g.wantExit(t, 1)
		g.wantErr(t, c.want)
		g.wantNoOut(t)
	}
}

// As in "ssh host gizmo run … --record /dev/stdout | gizmo replay -".
func TestReplayOfStandardInput(t *testing.T) {
	for _, gadget := range gadgetNames(t) {
		data, whole := readRecording(t, gadget)
		g := run(t, setup{in: bytes.NewReader(data)}, "replay", "-", "-o", "json")
		g.wantExit(t, 0)
		wantSame(t, "the replay of "+gadget+" from standard input", g.out.String(), whole)
	}
}
