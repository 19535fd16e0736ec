// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/build"
	"github.com/gizmo-ebpf/gizmo/catalog"
	"github.com/gizmo-ebpf/gizmo/gadget"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// refusedIf makes a folder with a program that the verifier refuses if a condition of the preprocessor holds.
func refusedIf(t *testing.T, condition string) string {
	t.Helper()
	dir := gadgetDir(t, "")
	writeTest(t, filepath.Join(dir, "program.bpf.c"), strings.Replace(buildProgram, "	e = gadget_reserve", `
#if `+condition+`
	*(volatile char *)bpf_get_current_pid_tgid() = 0;
#endif
	e = gadget_reserve`, 1))
	return dir
}

// onlyClangs has PATH lead to these versions of clang and nothing else.
func onlyClangs(t *testing.T, versions ...int) {
	t.Helper()
	bin := t.TempDir()
	for _, v := range versions {
		name := fmt.Sprint("clang-", v)
		if err := os.Symlink(kerneltest.RequireProgram(t, name), filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin)
	t.Setenv("CLANG", "")
}

// If the verifier refuses the program that one compiler makes of a folder, the error names that compiler, and the newest one
// whose program the verifier accepts.
func TestRefusedFolder(t *testing.T) {
	kerneltest.RequireRoot(t)
	for name, c := range map[string]struct {
		condition string
		versions  []int
		args      []string
		want      string // $V: the version as the compiler prints it
	}{
		"older ones pass": {
			"__clang_major__ == 19", []int{14, 16, 19}, nil,
			"/clang-19 compiled it (V19), and what clang-16 makes of the same source passes: add --clang clang-16, or set CLANG=clang-16",
		},
		"the oldest passes": {
			"__clang_major__ != 14", []int{14, 16, 19}, nil,
			"/clang-19 compiled it (V19), and what clang-14 makes of the same source passes: add --clang clang-14, or set CLANG=clang-14",
		},
		"a newer one passes": {
			"__clang_major__ == 14", []int{14, 19}, []string{"--clang", "clang-14"},
			"/clang-14 compiled it (V14), and what clang-19 makes of the same source passes: add --clang clang-19, or set CLANG=clang-19",
		},
		"none passes": {
			"1", []int{14, 16, 19}, nil,
			"/clang-19 compiled it (V19); what clang-16 and clang-14 make of the same source does not load either",
		},
		"the other does not compile it": {
			"__clang_major__ == 14\n#error no\n#elif 1", []int{14, 19}, nil,
			"/clang-19 compiled it (V19); what clang-14 makes of the same source does not load either",
		},
		"there is no other": {
			"1", []int{19}, nil,
			"/clang-19 compiled it (V19), and PATH has no other version to try; what another one makes of the same source may pass (--clang or $CLANG names it)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			onlyClangs(t, c.versions...)
			dir := refusedIf(t, c.condition)
			got := invoke("", append([]string{"run", dir, "-t", "1"}, c.args...)...)
			text := clangVersion.ReplaceAllString(strings.ReplaceAll(got.err, os.Getenv("PATH"), ""), "(V$1)")
			first, rest, _ := strings.Cut(text, "\n")
			want := "gizmo: program trace: the kernel's verifier rejected it: R0 invalid mem access 'scalar'; " + c.want
			if got.code != 1 || got.out != "" || first != want || !strings.HasPrefix(rest, "gizmo: run with -v for the verifier's log") {
				t.Errorf("got  %+v\nwant %s", got, want)
			}
		})
	}
}

var clangVersion = regexp.MustCompile(`\([^()]*clang version (\d+)\.[^()]*(\([^)]*\))?\)`)

// An object does not lead to its source, so the error says how to have it built by another compiler.
func TestRefusedObject(t *testing.T) {
	kerneltest.RequireRoot(t)
	onlyClangs(t, 14, 19)
	path := filepath.Join(t.TempDir(), "refused.o")
	if got := imageBuild(t, refusedIf(t, "1"), "--object", path); got.code != 0 {
		t.Fatalf("%+v", got)
	}
	// It names the compiler if there was no llvm-strip.
	const want = "what another compiler makes of its source may pass: gizmo image build DIR --object FILE --clang NAME (here: clang-19, clang-14)\n"
	if got := invoke("", "run", path, "-t", "1"); got.code != 1 || !strings.Contains(got.err, want) {
		t.Errorf("got  %+v\nwant %s", got, want)
	}
}

// The compiler has no part in other errors.
func TestCompilersAreNotBlamed(t *testing.T) {
	t.Parallel()
	a := &app{logger: slog.New(slog.DiscardHandler)}
	folder := &chosen{found: &catalog.Gadget{Folder: t.TempDir(), Clang: build.Clang{Path: "clang"}}}
	for _, err := range []error{
		fmt.Errorf("the kernel refuses to load it: %w; %w", unix.EPERM, gadget.ErrPrivileges), unix.EMFILE, errors.New("other"),
		&gadget.VerifierError{Program: "x", Reason: "unknown func bpf_new#212", Absent: true},
	} {
		if got := a.nameCompilers(t.Context(), folder, err); got != err {
			t.Errorf("got %v", got)
		}
	}
	rejected := &gadget.VerifierError{Program: "x", Reason: "R0 !read_ok"}
	if got := a.nameCompilers(t.Context(), &chosen{found: new(catalog.Gadget)}, rejected); got != error(rejected) {
		t.Errorf("a built-in gadget: got %v", got)
	}
	object := &chosen{found: &catalog.Gadget{Object: "x.o", Image: &image.Image{Compiler: "Some clang version 14.0.6"}}}
	want := rejected.Error() + "; Some clang version 14.0.6 compiled it; what another compiler makes of its source may pass: "
	if got := a.nameCompilers(t.Context(), object, rejected); !errors.Is(got, rejected) || !strings.HasPrefix(got.Error(), want) {
		t.Errorf("got  %v\nwant %s", got, want)
	}
}
