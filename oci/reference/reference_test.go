// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package reference

import (
	"strings"
	"testing"
)

const sum = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// Names are completed as everywhere in the field.
func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"trace_open":                         "ghcr.io/inspektor-gadget/gadget/trace_open:latest",
		"trace_open:v1":                      "ghcr.io/inspektor-gadget/gadget/trace_open:v1",
		"trace_open@" + sum:                  "ghcr.io/inspektor-gadget/gadget/trace_open@" + sum,
		"trace_open:v1@" + sum:               "ghcr.io/inspektor-gadget/gadget/trace_open:v1@" + sum,
		"foo/bar":                            "ghcr.io/foo/bar:latest",
		"ghcr.io/x":                          "ghcr.io/inspektor-gadget/gadget/x:latest",
		"ghcr.io/a/x":                        "ghcr.io/a/x:latest",
		"docker.io/x":                        "docker.io/library/x:latest",
		"docker.io/a/x:1":                    "docker.io/a/x:1",
		"localhost/x":                        "localhost/x:latest",
		"localhost:5000/x":                   "localhost:5000/x:latest",
		"registry.example:5000/a/b/c:1.2_x-": "registry.example:5000/a/b/c:1.2_x-",
		"Host/x":                             "Host/x:latest",
	} {
		n, err := Standard().Parse(text)
		if err != nil || n.String() != want {
			t.Errorf("%q: got %q, %v; want %s", text, n, err, want)
		}
		if again, err := Standard().Parse(n.String()); err != nil || again != n {
			t.Errorf("%q: %v was read as %v, %v", text, n, again, err)
		}
	}
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":            "invalid repository",
		":x":          "invalid repository",
		"x:":          "the tag is empty",
		"x@sha256:12": "invalid checksum digest length",
		"x@":          "invalid checksum digest format",
		"x@md5:0":     "unsupported digest algorithm",
		"UPPER":       "invalid repository",
		"a//b":        "invalid repository",
		"../x":        "it is a path", "./x:1": "it is a path", "/x": "it is a path",
		"a b":                           "invalid repository",
		"x:" + "a b":                    "invalid tag",
		"x:" + strings.Repeat("a", 129): "invalid tag",
		"http://x/y":                    "inv",
	} {
		if n, err := Standard().Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, %v; want an error with %q", text, n, err, want)
		}
	}
}

// What a name leaves out is not shown either.
func TestShort(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"trace_open": "trace_open", "foo/bar": "ghcr.io/foo/bar", "docker.io/x": "docker.io/library/x", "localhost:5000/x": "localhost:5000/x",
		"ghcr.io/inspektor-gadget/gadget/a/b": "ghcr.io/inspektor-gadget/gadget/a/b",
	} {
		n, err := Standard().Parse(text)
		if got := Standard().Short(n); err != nil || got != want {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
}

// Other defaults lead elsewhere.
func TestOtherDefaults(t *testing.T) {
	t.Parallel()
	d := Defaults{Domain: "mirror.example", Prefix: "gadgets/", Tag: "stable"}
	n, err := d.Parse("trace_open")
	if err != nil || n.String() != "mirror.example/gadgets/trace_open:stable" || d.Short(n) != "trace_open" {
		t.Errorf("got %v, %v", n, err)
	}
}

func TestFromEnvironment(t *testing.T) {
	for text, want := range map[string]string{
		"": "ghcr.io/inspektor-gadget/gadget/x:latest", "mirror.example:5000/a/b/": "mirror.example:5000/a/b/x:latest", "mirror.example": "mirror.example/x:latest",
	} {
		t.Setenv(Variable, text)
		if n, err := FromEnvironment().Parse("x"); err != nil || n.String() != want {
			t.Errorf("%q: %v, %v; want %s", text, n, err, want)
		}
	}
	t.Setenv(Variable, "not a registry")
	if _, err := FromEnvironment().Parse("x"); err == nil {
		t.Error("a wrong registry passes")
	}
}

func TestIsExplicit(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"trace_open": false, "a/b": false, "./a.b": false, "../x": false, "/a/b:c": false, "trace_open:latest": true, "x@" + sum: true,
		"ghcr.io/x": true, "localhost/x": true, "localhost:5000/a/b": true,
	} {
		if got := IsExplicit(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"trace_open", "a/b:c@" + sum, "localhost:5000/x", "x:y:z", "@", "//"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := Standard().Parse(text)
		if err != nil {
			return
		}
		if again, err := Standard().Parse(n.String()); err != nil || again != n {
			t.Errorf("%q is %q, which is %q, %v", text, n, again, err)
		}
	})
}
