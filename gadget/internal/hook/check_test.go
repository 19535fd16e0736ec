// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/fixture"
)

// Each kind of section is known; those that cannot run yet say so.
func TestSections(t *testing.T) {
	t.Parallel()
	img, err := image.Parse(bytes.NewReader(fixture.Compile(t, "sections").Object), nil)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for i := range img.Programs {
		p := &img.Programs[i]
		if p.Disabled {
			lines = append(lines, fmt.Sprintf("%s: disabled, target %q", p.Name, p.Target))
			continue
		}
		err := Check(p)
		line := fmt.Sprintf("%s: target %q", p.Name, p.Target)
		if err != nil {
			line = err.Error()
		}
		lines = append(lines, line)
	}
	fixture.Golden(t, "sections.golden", lines)
}

// How sections and attach_to may look is checked without the kernel.
func TestSyntaxOfTargets(t *testing.T) {
	t.Parallel()
	for section, want := range map[string]string{
		"kprobe/vfs_read":            "",
		"kprobe/vfs_read+0x10":       "",
		"kprobe/vfs_read+16":         "",
		"kprobe/vfs_read.isra.0":     "",
		"kretprobe/vfs_read":         "",
		"ksyscall/openat":            "",
		"kprobe/":                    `"kprobe/": want kprobe/FUNCTION`,
		"kprobe":                     "want kprobe/FUNCTION",
		"kprobe/vfs read":            `"kprobe/vfs read": want kprobe/FUNCTION`,
		"kprobe/1vfs":                "want kprobe/FUNCTION",
		"kprobe/../x":                "want kprobe/FUNCTION",
		"kprobe/vfs_read+":           "want kprobe/FUNCTION+OFFSET",
		"kprobe/vfs_read+x":          "want kprobe/FUNCTION+OFFSET",
		"kprobe/vfs_read+-1":         "want kprobe/FUNCTION+OFFSET",
		"kprobe/vfs_read+4294967296": "want kprobe/FUNCTION+OFFSET",
		"kretprobe/vfs_read+4":       "other probes take no offset",
		"ksyscall/openat+4":          "other probes take no offset",
		"fentry/vfs_read":            "",
		"fentry.s/vfs_read":          "",
		"fexit.s/vfs_read":           "",
		"fentry":                     "want fentry/FUNCTION",
		"fexit.s/vfs+1":              `"fexit.s/vfs+1": want fexit.s/FUNCTION`,
		"fmod_ret/vfs_read":          "gizmo runs no programs that change what the kernel's functions return; a program in section fexit can watch them",
		"fmod_ret.s/vfs_read":        "gizmo runs no programs that change",
		"lsm/file_open":              "",
		"lsm.s/file_open":            "",
		"lsm":                        "want lsm/HOOK",
		"lsm/file open":              "want lsm/HOOK",
		"sockops":                    "",
		"sockops/name":               "want the path of a control group's folder in attach_to",
		"sk_msg":                     "its map is missing: add GADGET_SK_TARGET_MAP(p, MAP)",
		"sk_skb/stream_parser":       "its map is missing",
		"sk_skb/stream_parsr":        "want sk_skb/stream_parser or sk_skb/stream_verdict",
		"sk_skb":                     "want sk_skb/stream_parser or",
		"xdp":                        "",
		"socket":                     "",
		"socket1":                    "",
		"socket/dns":                 "",
		"classifier/ingress/x":       "",
		"classifier/egress":          "",
		"classifier":                 "want classifier/ingress/NAME or classifier/egress/NAME",
		"classifier/in/x":            `"classifier/in/x": want classifier/ingress/NAME`,
		"xdp/eth0":                   "",
		"kprobe.multi/vfs_*":         "names no kind of program that gizmo knows",
		"fentrys/vfs_read":           "names no kind of program that gizmo knows",
	} {
		kind, target, _ := strings.Cut(section, "/")
		if kind == "sk_skb" {
			target = ""
		}
		p := &image.Program{Name: "p", Section: section, Target: target}
		err := Check(p)
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", section, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "program p: ") {
			t.Errorf("%s: got %v, want %q", section, err, want)
		}
	}
}
