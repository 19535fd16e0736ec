// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// noRuntime are the flags for a machine without containers.
var noRuntime = []string{"--runtimes=docker", "--docker-socketpath=/nonexistent/docker.sock"}

// Without --host and without containers a run shows nothing, and says why.
func TestRunWithoutContainers(t *testing.T) {
	kerneltest.RequireRoot(t)
	o := startOpener(t)
	args := append([]string{"run", "trace_open", "-o", "json", "--pid", o.pid()}, noRuntime...)
	g := start(t, setup{containersOnly: true}, args...)
	g.waitAttached(t)
	o.open(t, 10, "/proc/version")
	g.interrupt(t)
	if g.out.Len() > 0 {
		t.Errorf("got %s", g.out.String())
	}
	want := "gizmo: gizmo found no container runtime, and the run shows only events of containers; --host shows those of the host, too\n"
	if g.err.String() != want {
		t.Errorf("standard error: %q\nwant %q", g.err.String(), want)
	}
}

// In a pid namespace of its own gizmo cannot know any container, and says so.
func TestContainersInAPidNamespace(t *testing.T) {
	kerneltest.RequireRoot(t)
	unshare := kerneltest.RequireProgram(t, "unshare")
	g := startProgram(t, setup{}, []string{unshare, "-pf", "--mount-proc", gizmoPath, "list-containers", "-o", "json", "--runtimes=runc", "--runc-root=" + t.TempDir()})
	g.wantExit(t, 0)
	if g.out.String() != "[]\n" || !strings.Contains(g.err.String(), "docker run --pid=host") {
		t.Errorf("got %q, standard error %q", g.out.String(), g.err.String())
	}
}

// Each mistake about containers is an error that names the flag.
func TestWrongContainerFlags(t *testing.T) {
	for args, want := range map[string]string{
		"run trace_open --containername=":                "gizmo: --containername: the value is empty\n",
		"run trace_open -c a,,b":                         "gizmo: --containername: \"a,,b\" has an empty value\n",
		"run trace_open --k8s-selector app":              "gizmo: --k8s-selector: \"app\" is not KEY=VALUE or KEY!=VALUE\n",
		"run trace_open --runtimes dockr":                "gizmo: --runtimes: there is no container runtime \"dockr\"; did you mean \"docker\"?\n",
		"run trace_open --docker-socketpath=":            "gizmo: --docker-socketpath: the value is empty\n",
		"list-containers -o xml":                         "gizmo: --output: unknown output format \"xml\"",
		"list-containers --fields runtime.containerNaem": "did you mean \"runtime.containerName\"?",
		"list-containers web":                            "gizmo: gizmo list-containers takes no arguments, got \"web\"\n",
		"list-containers --k8s-podnam x":                 "did you mean --k8s-podname?\n",
	} {
		g := run(t, setup{containersOnly: true}, strings.Fields(args)...)
		g.wantExit(t, 1)
		if got := g.err.String(); !strings.Contains(got, want) || g.out.Len() > 0 {
			t.Errorf("%s: %q, want %q; standard output: %q", args, got, want, g.out.String())
		}
	}
}

// A runtime that takes connections and does not answer, or answers nonsense, does not keep gizmo waiting.
func TestRuntimesThatDoNotAnswer(t *testing.T) {
	for name, answer := range map[string]string{"silent": "", "nonsense": "\x00\x01\x02 nonsense\r\n\r\n", "not http": strings.Repeat("x", 1<<20)} {
		t.Run(name, func(t *testing.T) {
			socket := filepath.Join(t.TempDir(), "s")
			l, err := net.Listen("unix", socket)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go answerAlike(l, answer)
			g := run(t, setup{}, "list-containers", "-o", "json", "--runtimes=docker", "--docker-socketpath="+socket)
			g.wantExit(t, 0)
			if g.out.String() != "[]\n" || !strings.Contains(g.err.String(), "gizmo found no container runtime") {
				t.Errorf("got %q, standard error %q", g.out.String(), g.err.String())
			}
			if g.exitedIn > 5*time.Second { // it waits for half a second; the machine may be busy
				t.Errorf("it took %v", g.exitedIn)
			}
		})
	}
}

// answerAlike answers all connections in the same way, and leaves them open.
func answerAlike(l net.Listener, answer string) {
	var open []net.Conn
	for {
		c, err := l.Accept()
		if err != nil {
			for _, c := range open {
				c.Close()
			}
			return
		}
		open = append(open, c)
		_, _ = c.Write([]byte(answer))
	}
}
