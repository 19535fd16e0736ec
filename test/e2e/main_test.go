// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

var (
	update   = flag.Bool("update", false, "rewrite the golden files")
	programs = flag.String("programs", "", "take the program and the workloads from this `folder` instead of building them")
)

// The folder of the module, and the files that are built from it for all tests.
const (
	moduleDir    = "../.."
	gadgetsDir   = moduleDir + "/gadgets"
	buildVersion = "v0.0.0-e2e"
)

// gizmoPath is that of the program under test. It has those gadgets that could be compiled;
// errGadgets names the others.
var (
	gizmoPath  string
	errGadgets error
)

func TestMain(m *testing.M) {
	if mode := os.Getenv(helperMode); mode != "" {
		os.Exit(helper(mode, os.Args[1:]))
	}
	flag.Parse()
	if *programs != "" {
		gizmoPath = filepath.Join(*programs, "gizmo")
		os.Exit(m.Run())
	}
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "gizmo-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	gizmoPath = filepath.Join(dir, "gizmo")
	if err := buildGizmo(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// buildGizmo does what "make build" does, into a folder that unprivileged users can read.
func buildGizmo(dir string) error {
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	errGadgets = errors.Join(
		goCommand("run", "./build/gadgets", "-o", "catalog/objects", "gadgets"),
		goCommand("run", "./build/gadgets", "-o", "socket/objects", "socket/programs"))
	return goCommand("build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -E github.com/gizmo-ebpf/gizmo/internal/stdstreams.begin -X github.com/gizmo-ebpf/gizmo/internal/cli.version="+buildVersion,
		"-o", gizmoPath, "./cmd/gizmo")
}

func TestGadgetsAreCompiled(t *testing.T) {
	if errGadgets != nil {
		t.Error(errGadgets)
	}
}

// goCommand runs the go command in the module's folder. The error contains its output.
func goCommand(args ...string) error {
	cmd := exec.Command("go", args...)
	cmd.Dir = moduleDir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go %v: %w\n%s", args, err, &output)
	}
	return nil
}

// gadgetNames lists the folders of gadgets.
func gadgetNames(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(gadgetsDir + "/*/gadget.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatalf("there are no gadgets in %s", gadgetsDir)
	}
	var names []string
	for _, f := range files {
		names = append(names, filepath.Base(filepath.Dir(f)))
	}
	return names
}
