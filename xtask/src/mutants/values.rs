//! What a function may give instead of what it works out, as far as its type says.

use syn::{Block, Expr, GenericArgument, PathArguments, PathSegment, ReturnType, Stmt, Type, parse_quote};

pub struct Value {
    pub to: &'static str,
    pub expr: Expr,
}

const NUMBERS: [&str; 14] =
    ["u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize", "f32", "f64"];

/// The values of this type that are tried, but what the body is anyway.
pub fn instead(output: &ReturnType, body: &Block) -> Vec<Value> {
    let ty = match output {
        ReturnType::Default => return unit(body),
        ReturnType::Type(_, ty) => ty,
    };
    let Some(segment) = segment(ty) else { return Vec::new() };
    let name = segment.ident.to_string();
    let values = match name.as_str() {
        "bool" => vec![value("true", parse_quote!(true)), value("false", parse_quote!(false))],
        "Option" => vec![value("None", parse_quote!(None))],
        "f32" | "f64" => vec![value("0", parse_quote!(0.0)), value("1", parse_quote!(1.0))],
        number if NUMBERS.contains(&number) => vec![value("0", parse_quote!(0)), value("1", parse_quote!(1))],
        "Result" if gives_nothing(segment) => vec![value("Ok(())", parse_quote!(Ok(())))],
        _ => Vec::new(),
    };
    let only = match &*body.stmts {
        [Stmt::Expr(only, None)] => quote::quote!(#only).to_string().replace(' ', ""),
        _ => String::new(),
    };
    values.into_iter().filter(|value| value.to != only).collect()
}

pub fn is_bool(output: &ReturnType) -> bool {
    matches!(output, ReturnType::Type(_, ty) if segment(ty).is_some_and(|segment| segment.ident == "bool"))
}

fn value(to: &'static str, expr: Expr) -> Value {
    Value { to, expr }
}

/// A body that is one call with a semicolon is left out as that.
fn unit(body: &Block) -> Vec<Value> {
    match &*body.stmts {
        [] | [Stmt::Expr(Expr::Call(_) | Expr::MethodCall(_), Some(_))] => Vec::new(),
        _ => vec![value("nothing", parse_quote!(()))],
    }
}

fn segment(ty: &Type) -> Option<&PathSegment> {
    match ty {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    }
}

/// `Result<()>`, `Result<(), E>`.
fn gives_nothing(result: &PathSegment) -> bool {
    let PathArguments::AngleBracketed(arguments) = &result.arguments else { return false };
    let Some(GenericArgument::Type(Type::Tuple(given))) = arguments.args.first() else { return false };
    given.elems.is_empty()
}
