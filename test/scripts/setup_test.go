// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package scripts tests the scripts of this repository, with programs of its own in place of those that
// would change the machine.
package scripts

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// machine is a folder that has all programs which a script finds.
type machine struct {
	bin string
	log string // the arguments with which the programs were started
}

// newMachine makes a machine with the ordinary programs, and with the named ones, which only log their
// arguments.
func newMachine(t *testing.T, programs ...string) *machine {
	t.Helper()
	m := &machine{bin: t.TempDir(), log: filepath.Join(t.TempDir(), "log")}
	for _, name := range []string{"bash", "dirname", "seq", "sed", "env", "id"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(m.bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range programs {
		m.add(t, name, "exit 0")
	}
	return m
}

// add adds a program that notes how it is started and runs some commands of the shell.
func (m *machine) add(t *testing.T, name, commands string) {
	t.Helper()
	script := "#!/bin/bash\necho " + name + ` "$@" >>'` + m.log + "'\n" + commands + "\n"
	kerneltest.WriteProgram(t, filepath.Join(m.bin, name), []byte(script))
}

// setup runs scripts/setup.sh and returns its output.
func (m *machine) setup(t *testing.T, what ...string) (said string, err error) {
	t.Helper()
	cmd := exec.Command("../../scripts/setup.sh", what...)
	cmd.Env = []string{"PATH=" + m.bin}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	return out.String(), err
}

func (m *machine) started(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(m.log)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(text)
}

func TestSetupWithNothingMissing(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "go", "clang-format", "shellcheck", "apt-get", "apt-cache", "sudo")
	said, err := m.setup(t, "go", "lint")
	if err != nil || said != "" {
		t.Errorf("said %q, %v", said, err)
	}
	if got := m.started(t); strings.Contains(got, "apt") || strings.Contains(got, "sudo") {
		t.Errorf("started %q", got)
	}
}

// The script prints the packages before it installs them, with the reason.
func TestSetupInstalls(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "apt-cache", "sudo")
	m.add(t, "apt-get", `[ "$1" != update ] || echo "now apt-get starts" >&2`)
	m.add(t, "sudo", `exec "$@"`)
	said, err := m.setup(t, "lint")
	want := "setup: installing clang-format-19 (checks the format of C), shellcheck (checks scripts) with apt-get\nnow apt-get starts\n"
	if err != nil || said != want {
		t.Errorf("said %q, %v; want %q", said, err, want)
	}
	if got := m.started(t); !strings.Contains(got, "apt-get install -y -qq --no-install-recommends clang-format-19 shellcheck\n") {
		t.Errorf("started %q", got)
	}
}

// The script keeps installed programs: Docker's own packages conflict with those of the distribution.
func TestSetupNeighbours(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "apt-cache", "dockerd", "docker", "containerd", "conmon", "runc", "prometheus", "docker-registry")
	m.add(t, "apt-get", "")
	m.add(t, "sudo", `exec "$@"`)
	said, err := m.setup(t, "neighbours")
	if err != nil || !strings.Contains(said, "podman (is a neighbour in tests), crun (runs containers)") {
		t.Errorf("said %q, %v", said, err)
	}
	if got := m.started(t); strings.Contains(got, "docker.io") || strings.Contains(got, " containerd") || !strings.Contains(got, " podman crun") {
		t.Errorf("started %q", got)
	}
}

// Two parts of the project may need the same package.
func TestSetupInstallsOnce(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "apt-cache", "llvm-strip")
	m.add(t, "apt-get", "")
	m.add(t, "sudo", `exec "$@"`)
	said, err := m.setup(t, "build", "release")
	if err != nil || strings.Count(said, "clang-19") != 1 || strings.Count(m.started(t), "clang-19") != 2 { // one for apt-cache
		t.Errorf("said %q, %v, started %q", said, err, m.started(t))
	}
}

// If a distribution does not have the wanted version, the script installs the version that it has.
func TestSetupWithOtherVersions(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "apt-get", "shellcheck")
	m.add(t, "apt-cache", `[ "$2" != clang-format-19 ]`)
	m.add(t, "sudo", `exec "$@"`)
	if said, err := m.setup(t, "lint"); err != nil || !strings.HasSuffix(m.started(t), " clang-format\n") {
		t.Errorf("said %q, %v, started %q", said, err, m.started(t))
	}
}

func TestSetupFailures(t *testing.T) {
	t.Parallel()
	failing := newMachine(t, "apt-cache", "shellcheck")
	failing.add(t, "apt-get", `[ "$1" = update ] || exit 100`)
	failing.add(t, "sudo", `exec "$@"`)
	old := newMachine(t)
	old.add(t, "go", `[ "$1" = version ] && { echo go1.20; exit; }; exit 1`)
	for _, test := range []struct {
		name string
		m    *machine
		what string
		want string
	}{
		{"no Go", newMachine(t), "go", "newer is needed, and there is none in PATH: see https://go.dev/dl"},
		{"old Go", old, "go", "newer is needed, this is go1.20"},
		{"no apt-get", newMachine(t), "lint", "please install, by the names your distribution has for them: clang-format shellcheck"},
		{"unknown", newMachine(t), "everything", "nothing is known about everything"},
		{"apt-get fails", failing, "lint", "installing"},
	} {
		if said, err := test.m.setup(t, test.what); err == nil || !strings.Contains(said, test.want) {
			t.Errorf("%s: said %q, %v", test.name, said, err)
		}
	}
}
