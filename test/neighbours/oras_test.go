// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// oras returns a function that runs the command of ORAS in a folder and returns its output. The tools of this repository have it.
func oras(t *testing.T, dir string) func(args ...string) string {
	t.Helper()
	where := exec.Command("go", "tool", "-n", "oras")
	where.Dir = "../../tools"
	path, err := where.Output()
	if err != nil {
		t.Fatalf("build oras: %v", err)
	}
	return func(args ...string) string {
		t.Helper()
		cmd := exec.Command(strings.TrimSpace(string(path)), args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("oras %q: %v: %s", args, err, out)
		}
		return string(out)
	}
}

// Images of gizmo are images for ORAS.
func TestORASReads(t *testing.T) {
	r := startRegistry(t, false)
	oras := oras(t, r.dir)
	name, plain := r.address+"/me/opens:v1", "--insecure-registries="+r.address
	sum := digestInText.FindString(r.must(t, "image", "build", "../../gadgets/trace_open", "-t", name))
	r.must(t, "image", "push", name, plain)
	if got := oras("manifest", "fetch", "--plain-http", "--descriptor", name); !strings.Contains(got, `"digest":"`+sum+`"`) {
		t.Errorf("got %s", got)
	}
	oras("copy", "--from-plain-http", "--to-plain-http", name, r.address+"/other/opens:v2")
	oras("copy", "--from-plain-http", "--to-oci-layout", name, "layout:v1")
	for _, copied := range []string{r.address + "/other/opens:v2", r.path("layout")} {
		if out := r.must(t, "run", copied, plain, "--verify-image=false", "--host", "-o", "json", "-t", "2"); !strings.Contains(out, `"fname":"`) {
			t.Errorf("%s: the gadget shows nothing: %s", copied, out)
		}
	}
	file := r.path("opens.tar")
	r.must(t, "image", "export", name, file)
	oras("copy", "--from-oci-layout-path", file, "--to-plain-http", name, r.address+"/third/opens:v1")
	if got := oras("manifest", "fetch", "--plain-http", "--descriptor", r.address+"/third/opens:v1"); !strings.Contains(got, sum) {
		t.Errorf("got %s", got)
	}
}

// An image that ORAS packs, of files with the types that gadgets have, runs: a gadget, one without a program, and one of another architecture.
func TestORASPacks(t *testing.T) {
	r := startRegistry(t, false)
	oras := oras(t, r.dir)
	plain := "--insecure-registries=" + r.address
	objects, err := filepath.Abs("../../catalog/objects")
	if err != nil {
		t.Fatal(err)
	}
	pack := func(name, gadget, arch string, layers ...string) {
		t.Helper()
		args := []string{
			"push", "--plain-http", "--disable-path-validation", "--artifact-type", "application/vnd.gadget.v1+binary",
			"--config", filepath.Join(objects, gadget, "gadget.yaml:application/vnd.gadget.config.v1+yaml"), r.address + "/" + name + ":" + arch,
		}
		for _, layer := range layers {
			args = append(args, filepath.Join(objects, gadget, layer))
		}
		oras(args...)
		d := strings.TrimSpace(oras("manifest", "fetch", "--plain-http", "--descriptor", r.address+"/"+name+":"+arch))
		index := fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[%s,"platform":{"architecture":%q,"os":"linux"}}]}`,
			strings.TrimSuffix(d, "}"), arch)
		oras("manifest", "push", "--plain-http", r.address+"/"+name+":v1", r.write(t, "index.json", index, 0o600))
	}
	other := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
	const object = "program.o:application/vnd.gadget.ebpf.program.v1+binary"
	pack("opens", "trace_open", runtime.GOARCH, object, "gadget.yaml:application/x.unknown")
	pack("top", "top_process", runtime.GOARCH)
	pack("foreign", "trace_open", other, object)

	run := func(name string) []string {
		return []string{"run", r.address + "/" + name + ":v1", plain, "--verify-image=false", "--host", "-o", "json", "-t", "2"}
	}
	out, messages, err := r.gizmo(t, "", run("opens")...)
	if err != nil || !strings.Contains(out, `"fname":"`) || !strings.Contains(messages, `a layer of a type that gizmo does not know, "application/x.unknown": it is ignored`) {
		t.Errorf("%v: %s%s", err, out, messages)
	}
	if out := r.must(t, run("top")...); !strings.Contains(out, `"comm":"`) {
		t.Errorf("the gadget shows nothing: %s", out)
	}
	r.mustFail(t, "the image has no gadget for "+runtime.GOARCH+": it has those for "+other, run("foreign")...)
	if got := r.must(t, "image", "inspect", r.address+"/opens:v1", "--extra-info", "oci.tag"); got != "v1\n" {
		t.Errorf("got %q", got)
	}
}
