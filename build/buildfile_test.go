// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tiny is a program that does nothing.
const tiny = `#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
SEC("raw_tp/sys_enter") int nothing(void *ctx) { return 0; }
char LICENSE[] SEC("license") = "GPL";
`

// The build file names the files of a gadget. What gizmo does not know has no effect, and nothing is executed.
func TestBuildFile(t *testing.T) {
	t.Parallel()
	gadget, cache := t.TempDir(), t.TempDir()
	files{
		"build.yaml":       "ebpfsource: src/mine.bpf.c\nMetadata: mine.yaml\nwasm: go/x.wasm\ncflags: \"$(touch pwned)\"\n",
		"src/mine.bpf.c":   tiny,
		"mine.yaml":        "name: mine\n",
		"go/x.wasm":        "\x00asm",
		"other.yaml":       "wasm: go/main.go\nebpfsource: src/mine.bpf.c\n",
		"missing.yaml":     "ebpfsource: nowhere.bpf.c\n",
		"traversal.yaml":   "metadata: ../../etc/passwd\n",
		"dash.yaml":        "ebpfsource: -x\n",
		"list.yaml":        "ebpfsource: [a]\n",
		"broken.yaml":      "{",
		"missingwasm.yaml": "ebpfsource: src/mine.bpf.c\nmetadata: mine.yaml\nwasm: no.wasm\n",
	}.write(t, gadget)
	for range 2 { // the second time from the cache
		r, err := Dir(context.Background(), gadget, &Options{Cache: cache})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Object) == 0 || string(r.Metadata) != "name: mine\n" || string(r.Wasm) != "\x00asm" || !strings.HasSuffix(r.Source, "/src/mine.bpf.c") {
			t.Errorf("%+v", r)
		}
		if want := []string{`build.yaml: gizmo does not know the key "cflags", so it has no effect`}; !slices.Equal(r.Ignored, want) {
			t.Errorf("ignored %q, want %q", r.Ignored, want)
		}
	}
	r, err := Dir(context.Background(), gadget, &Options{Cache: cache, File: filepath.Join(gadget, "other.yaml")})
	if err != nil || r.Wasm != nil || len(r.Ignored) != 1 || !strings.Contains(r.Ignored[0], "does not compile Wasm modules") {
		t.Errorf("%+v, %v", r, err)
	}
	for file, want := range map[string]string{
		"nothere.yaml":     "cannot read the build file: ",
		"missing.yaml":     "cannot read the gadget: ",
		"traversal.yaml":   `metadata: "../../etc/passwd" is no path below the folder of the gadget`,
		"dash.yaml":        `line 1: ebpfsource: "-x" is no path`,
		"list.yaml":        "cannot unmarshal",
		"broken.yaml":      "broken.yaml: yaml: ",
		"missingwasm.yaml": "cannot read the gadget's Wasm module: ",
	} {
		if _, err := Dir(context.Background(), gadget, &Options{Cache: cache, File: filepath.Join(gadget, file)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", file, err, want)
		}
	}
}
