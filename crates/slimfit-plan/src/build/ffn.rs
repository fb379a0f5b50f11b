//! The steps of one feed-forward part: dense, or a mixture of experts with its shared part.

use super::{Branch, Builder};
use crate::slots::Buffer;
use crate::{ModelPart, PlanError, Step, TokenRows};
use slimfit_arch::{Activation, FeedForward, Mlp, Moe, TensorPart, TensorRole};
use slimfit_kernels::{Activate, ActivationFunction, Add, Experts, Operation, Route};
use slimfit_quantity::NumberFormat;

impl Builder<'_> {
    pub(super) fn ffn(&mut self, ffn: &FeedForward, branch: Branch) -> Result<(), PlanError> {
        self.part = ModelPart::FeedForward;
        match ffn {
            FeedForward::Dense(mlp) => self.mlp(mlp, branch),
            FeedForward::Moe(moe) => self.moe(moe, branch),
        }
    }

    pub(super) fn mlp(&mut self, mlp: &Mlp, branch: Branch) -> Result<(), PlanError> {
        let roles = if mlp.gated { &[TensorRole::Gate, TensorRole::Up][..] } else { &[TensorRole::Up] };
        let labels = if mlp.gated { ["gate_up", "activation", "down"] } else { ["up", "activation", "down"] };
        self.inner(labels, roles, TensorRole::Down, mlp, false, branch)
    }

    /// Up (and gate), non-linearity, down. `scaled`: times the sigmoid of each token's score in [`Buffer::Routing`].
    pub(super) fn inner(
        &mut self,
        [up_label, activation_label, down_label]: [&'static str; 3],
        up_roles: &[TensorRole],
        down_role: TensorRole,
        mlp: &Mlp,
        scaled: bool,
        branch: Branch,
    ) -> Result<(), PlanError> {
        let hidden = self.architecture.hidden_size;
        let up =
            Branch { input: branch.input, output: Buffer::Gates, accumulate: None, rows: TokenRows::All };
        self.product(up_label, up_roles, mlp.size * up_roles.len() as u64, hidden, mlp.bias, up, None)?;
        let function = function(mlp.activation);
        let activate = Activate { size: mlp.size, gated: mlp.gated, function, scaled };
        self.widen(Buffer::Activated, mlp.size);
        self.push(self.step(
            activation_label,
            Operation::Activate(activate),
            Buffer::Gates,
            Buffer::Activated,
        ));
        let down = Branch { input: Buffer::Activated, ..branch };
        self.product(down_label, &[down_role], hidden, mlp.size, mlp.bias, down, None)
    }

    /// The router, the chosen experts and the part that every token visits; both read the branch's input, so a branch
    /// that ends where it began goes through a buffer of its own.
    pub(super) fn moe(&mut self, moe: &Moe, branch: Branch) -> Result<(), PlanError> {
        let hidden = self.architecture.hidden_size;
        if branch.input == branch.output {
            self.widen(Buffer::Branch, hidden);
            self.moe(moe, Branch { output: Buffer::Branch, accumulate: None, ..branch })?;
            let add = Add { width: hidden, scale: branch.accumulate.unwrap_or(1.0) };
            self.push(self.step("experts_add", Operation::Add(add), Buffer::Branch, branch.output));
            return Ok(());
        }
        let router =
            self.matrix_as("router", &[TensorRole::Router], moe.experts, hidden, 1, NumberFormat::F32)?;
        let bias =
            moe.router_bias.then(|| self.vector(&[(TensorRole::Router, TensorPart::Bias)], moe.experts));
        let route = Route {
            columns: hidden,
            experts: moe.experts,
            top_k: moe.top_k,
            normalise: moe.normalise_top_k,
            bias: moe.router_bias,
        };
        self.widen(Buffer::Routing, moe.experts + 2 * moe.top_k);
        self.push(Step {
            matrix: Some(router),
            vectors: [bias, None, None, None],
            ..self.step("router", Operation::Route(route), branch.input, Buffer::Routing)
        });
        let up_roles = if moe.gated {
            &[TensorRole::ExpertGate, TensorRole::ExpertUp][..]
        } else {
            &[TensorRole::ExpertUp]
        };
        let up_rows = moe.expert_size * up_roles.len() as u64;
        // One format for both, which the columns of both allow.
        let all = [up_roles, &[TensorRole::ExpertDown]].concat();
        let format = self.format_of(&all).for_columns(hidden).for_columns(moe.expert_size);
        let up = self.matrix_as("experts_gate_up", up_roles, up_rows, hidden, moe.experts, format)?;
        let down_role = &[TensorRole::ExpertDown];
        let down = self.matrix_as("experts_down", down_role, hidden, moe.expert_size, moe.experts, format)?;
        let experts = Experts {
            columns: hidden,
            size: moe.expert_size,
            experts: moe.experts,
            top_k: moe.top_k,
            gated: moe.gated,
            function: function(moe.activation),
            format: self.plan.matrices[up].format,
            accumulate: branch.accumulate,
        };
        self.push(Step {
            matrix: Some(up),
            second_matrix: Some(down),
            ..self.step("experts", Operation::Experts(experts), branch.input, branch.output)
        });
        if moe.shared_size == 0 {
            return Ok(());
        }
        if moe.shared_gate {
            let scale = Branch {
                input: branch.input,
                output: Buffer::Routing,
                accumulate: None,
                rows: TokenRows::All,
            };
            let role = TensorRole::SharedExpertGate;
            let gate = self.matrix_as("shared_scale", &[role], 1, hidden, 1, NumberFormat::F32)?;
            self.product_of("shared_scale", gate, None, scale, None);
        }
        let shared = Mlp { size: moe.shared_size, gated: moe.gated, activation: moe.activation, bias: false };
        let roles = if moe.gated {
            &[TensorRole::SharedGate, TensorRole::SharedUp][..]
        } else {
            &[TensorRole::SharedUp]
        };
        let into = Branch { accumulate: Some(branch.accumulate.unwrap_or(1.0)), ..branch };
        self.inner(
            ["shared_gate_up", "shared_activation", "shared_down"],
            roles,
            TensorRole::SharedDown,
            &shared,
            moe.shared_gate,
            into,
        )
    }
}

fn function(activation: Activation) -> ActivationFunction {
    match activation {
        Activation::Silu => ActivationFunction::Silu,
        Activation::Gelu => ActivationFunction::Gelu,
        Activation::GeluTanh => ActivationFunction::GeluTanh,
        Activation::Relu => ActivationFunction::Relu,
        Activation::ReluSquared => ActivationFunction::ReluSquared,
    }
}
