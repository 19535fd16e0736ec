// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/wire"
)

var record = flag.Bool("record", false, "remake the recordings in testdata, and then the golden files")

// recordings is the folder with one recording of each gadget's workload.
const recordings = "testdata/recordings"

func recordingOf(gadget string) string { return filepath.Join(recordings, gadget+".rec") }

// views are ways to show a recording, by the names of the golden files.
var views = map[string]struct{ format, fields string }{
	"columns":       {"columns", ""},
	"json":          {"json", ""},
	"jsonpretty":    {"jsonpretty", ""},
	"yaml":          {"yaml", ""},
	"none":          {"none", ""},
	"exact.json":    {"json", "proc.tid,proc.creds,timestamp"},
	"exact.columns": {"columns", "timestamp,proc.comm"},
	"more.columns":  {"columns", "+timestamp_raw,+proc.parent.pid"},
	"fewer.yaml":    {"yaml", "-timestamp,-timestamp_raw"},
	"fewer.json":    {"json", "-proc"},
}

// The replay of every gadget's recording, in every format, prints the golden file: on any machine, for any user.
func TestReplayOfRecordings(t *testing.T) {
	for _, gadget := range gadgetNames(t) {
		t.Run(gadget, func(t *testing.T) {
			if *record {
				kerneltest.RequireRoot(t)
				makeRecording(t, gadget)
			}
			replayInAllViews(t, gadget)
		})
	}
}

func replayInAllViews(t *testing.T, gadget string) {
	t.Helper()
	_, whole := readRecording(t, gadget)
	for file, v := range views {
		fields := fieldsOf(parseOutput(t, whole), v.fields)
		if fields == "" && v.fields != "" {
			continue // the gadget has none of them
		}
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			args := []string{"replay", recordingOf(gadget), "-o", v.format}
			if fields != "" {
				args = append(args, "--fields", fields)
			}
			g := run(t, setup{}, args...)
			g.wantExit(t, 0)
			if text := g.err.String(); text != "" {
				t.Errorf("unexpected on standard error: %s", text)
			}
			golden(t, filepath.Join("recordings", gadget+"."+file), g.out.String())
		})
	}
	t.Run("default", func(t *testing.T) {
		t.Parallel()
		g := run(t, setup{}, "replay", recordingOf(gadget))
		g.wantExit(t, 0)
		golden(t, filepath.Join("recordings", gadget+"."+defaultMode(t, gadget)), g.out.String())
	})
}

// defaultMode returns the output mode that a recorded gadget asks for.
func defaultMode(t *testing.T, gadget string) string {
	t.Helper()
	data, _ := readRecording(t, gadget)
	r, err := wire.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	spec := &annotation.Spec{}
	if err := json.Unmarshal(r.Header().DataSources[0].Annotations, spec); err != nil {
		t.Fatal(err)
	}
	settings, err := spec.ParseSource()
	if err != nil {
		t.Fatal(err)
	}
	if settings.Metrics.Print {
		return "histogram"
	}
	return cmp.Or(settings.DefaultOutputMode, "columns")
}

// fieldsOf leaves in a list those fields that the recorded events have.
func fieldsOf(o output, list string) string {
	var has []string
	for name := range strings.SplitSeq(list, ",") {
		if len(o.rows) > 0 && o.rows[0].has(strings.TrimLeft(name, "+-")) {
			has = append(has, name)
		}
	}
	return strings.Join(has, ",")
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

// replayDamaged checks that gizmo prints the beginning of damaged data, and then an error.
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
		{"/proc/nonexistent/recording", "gizmo: open /proc/nonexistent/recording: no such file or directory\n"},
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
