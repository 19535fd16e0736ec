// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// mainVar is the environment variable that makes this program a workload.
const mainVar = "GIZMO_TEST_WORKLOAD"

func TestMain(m *testing.M) {
	switch os.Getenv(mainVar) {
	case "":
		os.Exit(m.Run())
	case "fails":
		Main(func(string) error { return errors.New("no luck") })
	case "works":
		Main(func(dir string) error {
			return Cause([]string{"--pid", "1"}, func() ([]string, error) { return []string{dir, "<&>"}, nil })
		})
	}
}

// start starts this program as a workload.
func start(t *testing.T, what, input string, args ...string) (out, errOut string, code int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), mainVar+"="+what)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &stdout, &stderr
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

func TestMainFunction(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, what, input string
		args              []string
		code              int
		errOut            string
	}{
		{"works", "works", "\n", []string{"a folder"}, 0, ""},
		{"no start", "works", "", []string{"a folder"}, 1, "workload: wait for the start: EOF\n"},
		{"fails", "fails", "\n", []string{"a folder"}, 1, "workload: no luck\n"},
		{"no folder", "works", "\n", nil, 2, "usage: workload [flags] DIR\n"},
		{"two folders", "works", "\n", []string{"a folder", "another"}, 2, "usage: workload [flags] DIR\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			out, errOut, code := start(t, tt.what, tt.input, tt.args...)
			if code != tt.code || !strings.HasPrefix(errOut, tt.errOut) || tt.errOut == "" && errOut != "" {
				t.Errorf("exit code %d, want %d; standard error %q, want %q", code, tt.code, errOut, tt.errOut)
			}
			if listed := strings.HasSuffix(out, "}\n\"a folder\"\n\"<&>\"\n"); listed != (code == 0) {
				t.Errorf("exit code %d, and standard output is %q", code, out)
			}
		})
	}
}

// The first line has the values that the test reads from it. The workload does nothing before it has written
// this line and the test has told it to go.
func TestOrder(t *testing.T) {
	t.Parallel()
	in, start := io.Pipe()
	lines, out := io.Pipe()
	done := make(chan error)
	caused := false
	go func() {
		done <- serve(in, out, ready{Ready: true, Args: []string{"--all"}, PID: 77}, func() ([]Proc, error) {
			caused = true
			return []Proc{{PID: 1}, {PID: 2}}, nil
		})
		out.Close()
	}()
	r := bufio.NewReader(lines)
	first, err := r.ReadString('\n')
	if want := `{"ready":true,"args":["--all"],"pid":77}` + "\n"; err != nil || first != want {
		t.Errorf("first line %q, %v; want %q", first, err, want)
	}
	if caused {
		t.Error("the events came before the start")
	}
	fmt.Fprintln(start)
	for pid := range 2 {
		line, err := r.ReadBytes('\n')
		var got Proc
		if err := errors.Join(err, json.Unmarshal(line, &got)); err != nil || got.PID != pid+1 {
			t.Errorf("event %d is %q, %v", pid, line, err)
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A task that fails lists no events, because a part of them would look like all of them.
func TestFailedTask(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	want := errors.New("no luck")
	err := serve(strings.NewReader("\n"), &out, ready{}, func() ([]int, error) { return []int{1}, want })
	if !errors.Is(err, want) || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("error %v, output %q", err, out.String())
	}
}
