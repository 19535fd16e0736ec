// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package policies checks the network policies that gizmo writes against the types of Kubernetes, which gizmo itself does not use.
package policies

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	networking "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"
)

// Kubernetes reads the golden files as they are meant: strictly, each key is known and there once, and each value has its type.
func TestGoldenFilesAreNetworkPolicies(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../sink/networkpolicy/testdata/k8s-*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	all := make(map[string]*networking.NetworkPolicy)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, document := range strings.Split(string(text), "---\n")[1:] {
			policy := &networking.NetworkPolicy{}
			if err := yaml.UnmarshalStrict([]byte(document), policy); err != nil {
				t.Errorf("%s: %v in\n%s", file, err, document)
			}
			if policy.APIVersion != networking.SchemeGroupVersion.String() || policy.Kind != "NetworkPolicy" {
				t.Errorf("%s: %s, %s", file, policy.APIVersion, policy.Kind)
			}
			all[policy.Name] = policy
		}
	}
	wantLabels(t, all["odd-network"])
	wantWeb(t, all["web-network"])
}

// wantLabels checks values that YAML could take for something else than text.
func wantLabels(t *testing.T, odd *networking.NetworkPolicy) {
	t.Helper()
	want := map[string]string{
		"a": "true", "b": "1.0", "c": "null", "d": "0x1F", "e": "1:20", "f": "", "g": "~", "h": "yes", "i": "012",
		"j": "2026-11-30", "k": "on", "l": "---", "m": "1e3", "n": ".inf",
	}
	if odd == nil || len(odd.Spec.PodSelector.MatchLabels) != len(want) {
		t.Fatalf("got %v", odd)
	}
	for key, value := range want {
		if got := odd.Spec.PodSelector.MatchLabels[key]; got != value {
			t.Errorf("label %s is %q, want %q", key, got, value)
		}
	}
}

// wantWeb checks that nothing of a policy is lost on the way.
func wantWeb(t *testing.T, web *networking.NetworkPolicy) {
	t.Helper()
	if web == nil || len(web.Spec.PolicyTypes) != 2 || len(web.Spec.Ingress) != 3 || len(web.Spec.Egress) != 2 {
		t.Fatalf("got %v", web)
	}
	from := web.Spec.Ingress[0]
	if len(from.From) != 2 || from.From[1].IPBlock == nil || from.From[1].IPBlock.CIDR != "203.0.113.9/32" || len(from.Ports) != 2 {
		t.Errorf("the first rule is %v", from)
	}
	far := web.Spec.Ingress[2]
	if len(far.From) != 1 || far.From[0].PodSelector.MatchLabels["app"] != "prometheus" ||
		far.From[0].NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"] != "monitoring" {
		t.Errorf("the last rule is %v", far)
	}
	to := web.Spec.Egress[0].Ports[1]
	if *to.Protocol != "UDP" || to.Port.IntValue() != 53 {
		t.Errorf("the port is %v", to)
	}
}
