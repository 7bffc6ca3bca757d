//! Goes through a file and writes each change into it behind a switch: `a < b` becomes `if on(7) { a <= b } else { a < b }`, with
//! each operand evaluated once, so that one build holds all changes. Nothing here knows types; what rustc refuses is left out.

use proc_macro2::TokenStream;
use quote::quote;
use syn::visit_mut::{self, VisitMut};
use syn::{
    Arm, Attribute, BinOp, Block, Expr, ExprBinary, ExprIf, ExprMatch, ExprWhile, Generics, ImplItem, Item,
    Lit, Pat, PatGuard, Path, Signature, Stmt, TraitItem, Type, UnOp, parse_quote,
};

use super::changes::{Changes, Original};
use super::values;

pub struct Visitor<'a> {
    changes: &'a mut Changes,
    file: &'a str,
    /// Names of the modules, types and functions around.
    within: Vec<String>,
    /// Whether the next expression is as a whole made true and false already, so that its opposite adds nothing.
    decides: bool,
}

impl<'a> Visitor<'a> {
    pub fn new(changes: &'a mut Changes, file: &'a str) -> Self {
        Self { changes, file, within: Vec::new(), decides: false }
    }

    /// The switch of a new change, unless it is left out.
    fn switch(&mut self, original: &Original, to: &str) -> Option<TokenStream> {
        let number = self.changes.add(self.file, self.within.join("::"), original, to)?;
        Some(quote!(crate::mutants::on(#number)))
    }

    fn inside(&mut self, name: String, visit: impl FnOnce(&mut Self)) {
        self.within.push(name);
        visit(self);
        self.within.pop();
    }

    /// What decides where things go, made always and never true, as far as switching its operands off does not do it.
    fn condition(&mut self, condition: &mut Expr) {
        self.decided(condition, true);
    }

    fn decided(&mut self, condition: &mut Expr, can_be_never: bool) {
        if has_let(condition) {
            return self.visit_expr_mut(condition);
        }
        let original = Original::of(condition);
        let (always, never) = match &*condition {
            Expr::Binary(ExprBinary { op: BinOp::And(_), .. }) => (false, true),
            Expr::Binary(ExprBinary { op: BinOp::Or(_), .. }) => (true, false),
            Expr::Lit(literal) => (!is_bool(&literal.lit, true), !is_bool(&literal.lit, false)),
            _ => (true, true),
        };
        self.decides = true;
        self.visit_expr_mut(condition);
        self.decides = false;
        if always && let Some(on) = self.switch(&original, "true") {
            *condition = parse_quote!(((#condition) || #on));
        }
        if never
            && can_be_never
            && let Some(on) = self.switch(&original, "false")
        {
            *condition = parse_quote!(((#condition) && !#on));
        }
    }

    /// Each operand of `a && b && c` switched off; the chain stays one, because it may hold a `let`.
    fn lazy(&mut self, binary: &mut ExprBinary) {
        let is_and = matches!(binary.op, BinOp::And(_));
        for operand in [&mut binary.left, &mut binary.right] {
            match &mut **operand {
                Expr::Binary(inner) if is_lazy(&inner.op) && matches!(inner.op, BinOp::And(_)) == is_and => {
                    self.lazy(inner);
                }
                Expr::Let(_) => self.visit_expr_mut(operand),
                other => {
                    let original = Original::of(other);
                    self.visit_expr_mut(other);
                    if is_and {
                        if let Some(on) = self.switch(&original, "true") {
                            *other = parse_quote!(((#other) || #on));
                        }
                    } else if let Some(on) = self.switch(&original, "false") {
                        *other = parse_quote!(((#other) && !#on));
                    }
                }
            }
        }
    }

    /// `a < b`, `a + b` or `a += b` with another operator.
    fn operator(&mut self, expr: &mut Expr, decides: bool) {
        let original = Original::of(expr);
        visit_mut::visit_expr_mut(self, expr);
        let Expr::Binary(ExprBinary { left, op, right, .. }) = expr else { return };
        let kind = kind(op);
        let way = |op: &BinOp| match kind {
            Kind::Comparison => quote!(*left #op *right),
            Kind::Arithmetic => quote!(left #op right),
            _ => quote!(#left #op #right),
        };
        let mut ways = TokenStream::new();
        for (to, other) in others(op, decides) {
            if let Some(on) = self.switch(&original, to) {
                let way = way(&other);
                ways.extend(quote!(if #on { #way } else));
            }
        }
        if ways.is_empty() {
            return;
        }
        let way = way(op);
        ways.extend(quote!({ #way }));
        *expr = match kind {
            Kind::Comparison => parse_quote!((match (&(#left), &(#right)) { (left, right) => #ways })),
            Kind::Arithmetic => parse_quote!((match ((#left), (#right)) { (left, right) => #ways })),
            _ => parse_quote!((#ways)),
        };
    }

    /// What is true where this was false; not where it decides as a whole.
    fn opposite(&mut self, expr: &mut Expr, to: &str, visit: impl FnOnce(&mut Self, &mut Expr)) {
        let original = Original::of(expr);
        visit(self, expr);
        if let Some(on) = self.switch(&original, to) {
            *expr = parse_quote!(((#expr) ^ #on));
        }
    }

    fn arm(&mut self, arm: &mut Arm, is_caught: bool) {
        let original = Original::of(&arm.pat);
        if let Pat::Guard(PatGuard { guard, .. }) = &mut arm.pat {
            self.decided(guard, !is_caught);
        }
        if is_caught && let Some(on) = self.switch(&original, "no arm") {
            let pattern = std::mem::replace(&mut arm.pat, parse_quote!(_));
            let (pat, guard) = match pattern {
                Pat::Guard(PatGuard { pat, guard, .. }) if has_let(&guard) => {
                    (pat, parse_quote!(#guard && !#on))
                }
                Pat::Guard(PatGuard { pat, guard, .. }) => (pat, parse_quote!((#guard) && !#on)),
                other => (Box::new(other), parse_quote!(!#on)),
            };
            let (attrs, if_token) = (Vec::new(), Default::default());
            arm.pat = Pat::Guard(PatGuard { attrs, pat, if_token, guard: Box::new(guard) });
        }
        self.visit_expr_mut(&mut arm.body);
    }

    fn function(&mut self, attributes: &[Attribute], signature: &Signature, block: &mut Block) {
        if signature.constness.is_some() || is_for_tests(attributes) {
            return;
        }
        let name = signature.ident.to_string();
        let original = Original::named(format!("fn {name}"));
        self.inside(name, |visitor| {
            if values::is_bool(&signature.output)
                && let [Stmt::Expr(only, None)] = &mut *block.stmts
            {
                return visitor.condition(only);
            }
            let values = values::instead(&signature.output, block);
            visitor.visit_block_mut(block);
            for value in values.iter().rev() {
                if let Some(on) = visitor.switch(&original, value.to) {
                    let value = &value.expr;
                    block.stmts.insert(0, parse_quote!(if #on { return #value; }));
                }
            }
        });
    }
}

impl VisitMut for Visitor<'_> {
    fn visit_item_mut(&mut self, item: &mut Item) {
        match item {
            Item::Fn(item) => self.function(&item.attrs, &item.sig, &mut item.block),
            Item::Impl(item) if !is_for_tests(&item.attrs) => {
                let name = match &*item.self_ty {
                    Type::Path(path) => last(&path.path),
                    other => Original::of(other).into_text(),
                };
                self.inside(name, |visitor| visit_mut::visit_item_impl_mut(visitor, item));
            }
            Item::Trait(item) if !is_for_tests(&item.attrs) => {
                self.inside(item.ident.to_string(), |visitor| visit_mut::visit_item_trait_mut(visitor, item));
            }
            Item::Mod(item) if !is_for_tests(&item.attrs) => {
                self.inside(item.ident.to_string(), |visitor| visit_mut::visit_item_mod_mut(visitor, item));
            }
            // Values that are known when it is compiled have no switches.
            _ => {}
        }
    }

    fn visit_impl_item_mut(&mut self, item: &mut ImplItem) {
        if let ImplItem::Fn(item) = item {
            self.function(&item.attrs, &item.sig, &mut item.block);
        }
    }

    fn visit_trait_item_mut(&mut self, item: &mut TraitItem) {
        if let TraitItem::Fn(item) = item
            && let Some(block) = &mut item.default
        {
            self.function(&item.attrs, &item.sig, block);
        }
    }

    fn visit_block_mut(&mut self, block: &mut Block) {
        for stmt in &mut block.stmts {
            let original = Original::of(stmt);
            let is_call = matches!(stmt, Stmt::Expr(expr, Some(_)) if is_call(expr));
            self.visit_stmt_mut(stmt);
            if is_call && let Some(on) = self.switch(&original, "nothing") {
                *stmt = parse_quote!(if !#on { #stmt });
            }
        }
    }

    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        let decides = std::mem::take(&mut self.decides);
        match expr {
            Expr::Binary(binary) if is_lazy(&binary.op) => self.lazy(binary),
            Expr::Binary(_) => self.operator(expr, decides),
            Expr::Paren(inner) => {
                self.decides = decides;
                self.visit_expr_mut(&mut inner.expr);
            }
            Expr::Unary(unary) if matches!(unary.op, UnOp::Not(_)) => {
                let visit = |visitor: &mut Self, expr: &mut Expr| {
                    visitor.decides = true;
                    visit_mut::visit_expr_mut(visitor, expr);
                    visitor.decides = false;
                };
                if decides { visit(self, expr) } else { self.opposite(expr, "without !", visit) }
            }
            Expr::Macro(inner) if !decides && inner.mac.path.is_ident("matches") => {
                self.opposite(expr, "not", |_, _| ());
            }
            Expr::If(ExprIf { cond, then_branch, else_branch, .. }) => {
                self.condition(cond);
                self.visit_block_mut(then_branch);
                if let Some((_, other)) = else_branch {
                    self.visit_expr_mut(other);
                }
            }
            Expr::While(ExprWhile { cond, body, .. }) => {
                self.condition(cond);
                self.visit_block_mut(body);
            }
            Expr::Match(ExprMatch { expr, arms, .. }) => {
                self.visit_expr_mut(expr);
                let catches = arms.iter().rposition(|arm| catches_all(&arm.pat)).unwrap_or_default();
                arms.iter_mut().enumerate().for_each(|(place, arm)| self.arm(arm, place < catches));
            }
            // What is known when it is compiled.
            Expr::Repeat(repeat) => self.visit_expr_mut(&mut repeat.expr),
            Expr::Const(_) => {}
            other => visit_mut::visit_expr_mut(self, other),
        }
    }

    fn visit_attribute_mut(&mut self, _: &mut Attribute) {}
    fn visit_pat_mut(&mut self, _: &mut Pat) {}
    fn visit_path_mut(&mut self, _: &mut Path) {}
    fn visit_type_mut(&mut self, _: &mut Type) {}
    fn visit_generics_mut(&mut self, _: &mut Generics) {}
}

#[derive(Clone, Copy)]
enum Kind {
    Comparison,
    Arithmetic,
    Assignment,
}

fn kind(op: &BinOp) -> Kind {
    use BinOp::{AddAssign, DivAssign, Eq, Ge, Gt, Le, Lt, MulAssign, Ne, SubAssign};
    match op {
        Lt(_) | Le(_) | Gt(_) | Ge(_) | Eq(_) | Ne(_) => Kind::Comparison,
        AddAssign(_) | SubAssign(_) | MulAssign(_) | DivAssign(_) => Kind::Assignment,
        _ => Kind::Arithmetic,
    }
}

/// What may stand for an operator. Where it decides, its opposite is left to the condition as a whole.
fn others(op: &BinOp, decides: bool) -> Vec<(&'static str, BinOp)> {
    let others: &[&str] = match op {
        BinOp::Lt(_) => &["<=", ">"],
        BinOp::Le(_) => &["<", ">="],
        BinOp::Gt(_) => &[">=", "<"],
        BinOp::Ge(_) => &[">", "<="],
        BinOp::Eq(_) => &["!="],
        BinOp::Ne(_) => &["=="],
        BinOp::Add(_) => &["-"],
        BinOp::Sub(_) => &["+"],
        BinOp::Mul(_) => &["/"],
        BinOp::Div(_) => &["*"],
        BinOp::AddAssign(_) => &["-="],
        BinOp::SubAssign(_) => &["+="],
        BinOp::MulAssign(_) => &["/="],
        BinOp::DivAssign(_) => &["*="],
        _ => &[],
    };
    let equality = matches!(op, BinOp::Eq(_) | BinOp::Ne(_));
    let most = if decides { if equality { 0 } else { 1 } } else { others.len() };
    others.iter().take(most).filter_map(|text| Some((*text, syn::parse_str(text).ok()?))).collect()
}

fn is_lazy(op: &BinOp) -> bool {
    matches!(op, BinOp::And(_) | BinOp::Or(_))
}

fn has_let(expr: &Expr) -> bool {
    match expr {
        Expr::Let(_) => true,
        Expr::Binary(ExprBinary { left, op: BinOp::And(_), right, .. }) => has_let(left) || has_let(right),
        _ => false,
    }
}

fn is_bool(literal: &Lit, value: bool) -> bool {
    matches!(literal, Lit::Bool(literal) if literal.value == value)
}

fn is_call(expr: &Expr) -> bool {
    match expr {
        Expr::Call(_) | Expr::MethodCall(_) => true,
        Expr::Try(inner) => is_call(&inner.expr),
        Expr::Await(inner) => is_call(&inner.base),
        _ => false,
    }
}

/// `_`, or a name: those of constants begin with a capital.
fn catches_all(pattern: &Pat) -> bool {
    match pattern {
        Pat::Wild(_) => true,
        Pat::Ident(name) => name.subpat.is_none() && name.ident.to_string().starts_with(char::is_lowercase),
        _ => false,
    }
}

/// `#[cfg(test)]`
pub fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<Path>().is_ok_and(|condition| condition.is_ident("test"))
    })
}

fn last(path: &Path) -> String {
    path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default()
}
